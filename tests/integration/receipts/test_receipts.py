"""Receipts: one sum of money over many invoices."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import httpx
import pytest

from school_billing.auth.contracts import Role
from tests.api import NOBODY, Api, Json, problem, wrong_fields

JANUARY, FEBRUARY, MARCH = "2026-01-31", "2026-02-28", "2026-03-31"


class Family:
    """A payer with three children, who is billed for each of them."""

    school: Json
    payer: Json
    children: list[Json]
    invoices: list[Json]


@pytest.fixture
async def family(api: Api) -> Family:
    """Bart 100.00 due in March, Lisa 200.00 due in January, Maggie 300.00 due in February."""
    one = Family()
    one.school = await api.school()
    one.payer = await api.payer(one.school, name="Marge Simpson")
    names = {"Bart": ("100.00", MARCH), "Lisa": ("200.00", JANUARY), "Maggie": ("300.00", FEBRUARY)}
    one.children = [await api.student(one.school, full_name=f"{name} Simpson") for name in names]
    one.invoices = [
        await api.invoice(child, total, due_date=due, payer_id=one.payer["id"], issued_at="2026-01-01T00:00:00Z")
        for child, (total, due) in zip(one.children, names.values(), strict=True)
    ]
    return one


@pytest.fixture
async def others(api: Api) -> AsyncIterator[Family]:
    """A family of another school, which nothing here must touch."""
    one = Family()
    one.school = await api.school()
    one.payer = await api.payer(one.school, name="Ned Flanders")
    one.children = [await api.student(one.school, full_name="Rod Flanders")]
    one.invoices = [await api.invoice(one.children[0], "100.00", payer_id=one.payer["id"])]
    untouched = await api.reload(one.invoices[0])
    yield one
    assert await api.reload(one.invoices[0]) == untouched


def allocated(receipt: Json) -> list[tuple[str, str]]:
    """Return what each child got, and still has."""
    return sorted((one["full_name"], one["amount"]) for one in receipt["allocations"] if one["reversed_at"] is None)


def balances(receipt: Json) -> tuple[str, ...]:
    return tuple(receipt[name] for name in ("amount", "allocated_total", "refunded_total", "unallocated"))


async def due(api: Api, family: Family) -> list[str]:
    return [(await api.reload(invoice))["balance_due"] for invoice in family.invoices]


async def post(api: Api, path: str, **body: Any) -> Json:
    response = await api.client.post(path, json=body)
    assert response.status_code == 201, response.text
    answer: Json = response.json()
    return answer


async def test_one_sum_pays_the_children_whose_invoices_are_due_first(api: Api, family: Family, others: Family) -> None:
    body = {"payer_id": family.payer["id"], "amount": "550.00", "method": "Bank Transfer", "reference": "SIMPSON"}
    answer = await api.client.post("/receipts", json=body | {"received_at": "2026-02-03T10:00:00Z"})
    receipt = answer.json()
    # 200.00 of January, 300.00 of February, and 50.00 of the 100.00 of March.
    assert allocated(receipt) == [("Bart Simpson", "50.00"), ("Lisa Simpson", "200.00"), ("Maggie Simpson", "300.00")]
    assert balances(receipt) == ("550.00", "550.00", "0.00", "0.00")
    assert await due(api, family) == ["50.00", "0.00", "0.00"]
    assert {one["allocated_at"] for one in receipt["allocations"]} == {"2026-02-03T10:00:00Z"}
    assert (receipt["payer_name"], receipt["method"]) == ("Marge Simpson", "bank_transfer")
    # The answer is the receipt as it is now, with its entity tag.
    now = await api.client.get(answer.headers["location"])
    assert (now.json(), now.headers["etag"]) == (receipt, answer.headers["etag"])
    payments = await api.get(f"/payments?receipt_id={receipt['id']}")
    assert {payment["id"] for payment in payments} == {one["payment_id"] for one in receipt["allocations"]}
    assert {payment["reference"] for payment in payments} == {"SIMPSON"}


async def test_what_is_too_much_stays_with_the_payer_and_pays_later(api: Api, family: Family, others: Family) -> None:
    receipt = await api.receipt(family.payer, "650.00")
    assert balances(receipt) == ("650.00", "600.00", "0.00", "50.00")
    later = await api.invoice(family.children[0], "80.00", payer_id=family.payer["id"])
    allocated_now = await post(api, f"/receipts/{receipt['id']}/allocations")
    assert balances(allocated_now) == ("650.00", "650.00", "0.00", "0.00")
    assert (await api.reload(later))["balance_due"] == "30.00"
    answer = await api.client.get(f"/receipts/{receipt['id']}")
    assert answer.json() == allocated_now
    # Nothing is left, and nothing happens.
    assert await post(api, f"/receipts/{receipt['id']}/allocations") == allocated_now


async def test_a_list_says_which_invoice_gets_how_much(api: Api, family: Family, others: Family) -> None:
    bart, lisa, _ = family.invoices
    given = [{"invoice_id": bart["id"], "amount": "30.00"}, {"invoice_id": lisa["id"], "amount": "45.50"}]
    receipt = await api.receipt(family.payer, "100.00", allocate=given)
    assert allocated(receipt) == [("Bart Simpson", "30.00"), ("Lisa Simpson", "45.50")]
    assert balances(receipt) == ("100.00", "75.50", "0.00", "24.50")
    assert await due(api, family) == ["70.00", "154.50", "300.00"]
    rest = [{"invoice_id": lisa["id"], "amount": "24.51"}]
    refused = await api.client.post(f"/receipts/{receipt['id']}/allocations", json={"allocate": rest})
    told = problem(refused, 409, "receipt_spent")
    assert (told["unallocated"], told["allocated_total"]) == ("24.50", "75.50")


async def test_a_list_that_cannot_be_records_nothing(api: Api, family: Family, others: Family) -> None:
    bart, lisa, maggie = (invoice["id"] for invoice in family.invoices)
    void = await api.invoice(family.children[0], payer_id=family.payer["id"])
    await api.client.post(f"/invoices/{void['id']}/void", json={"reason": "Entered twice"})
    ahead = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    future = await api.invoice(family.children[0], payer_id=family.payer["id"], issued_at=ahead)

    async def refused(*given: tuple[str, str], amount: str = "400.00") -> Any:
        listed = [{"invoice_id": invoice_id, "amount": amount} for invoice_id, amount in given]
        body = {"payer_id": family.payer["id"], "amount": amount, "allocate": listed}
        return await api.client.post("/receipts", json=body)

    assert wrong_fields(await refused((bart, "60.00"), (lisa, "60.00"), amount="119.99")) == ["allocate"]
    assert wrong_fields(await refused((bart, "1.00"), (bart, "1.00"))) == ["allocate[1].invoice_id"]
    elsewhere = others.invoices[0]["id"]
    assert wrong_fields(await refused((bart, "1.00"), (elsewhere, "1.00"))) == ["allocate[1].invoice_id"]
    assert wrong_fields(await refused((NOBODY, "1.00"))) == ["allocate[0].invoice_id"]
    for guilty, amount, code, field in (
        (lisa, "200.01", "overpayment", "amount"),
        (void["id"], "1.00", "invoice_void", "invoice_id"),
        (future["id"], "1.00", "invoice_not_issued", "invoice_id"),
    ):
        told = problem(await refused((maggie, "1.00"), (guilty, amount)), 409, code)
        assert (told["invoice_id"], told["errors"][0]["field"]) == (guilty, f"allocate[1].{field}")
        assert told["balance_due"] == {lisa: "200.00"}.get(guilty, told["balance_due"])
    assert await due(api, family) == ["100.00", "200.00", "300.00"]
    assert await api.get(f"/payers/{family.payer['id']}/receipts") == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": "0.00"}, "amount"),
        ({"amount": "-1.00"}, "amount"),
        ({"allocate": "newest_first"}, "allocate"),
        ({"allocate": {}}, "allocate"),
        ({"allocate": [{"amount": "1.00"}]}, "allocate[0].invoice_id"),
        ({"allocate": [{"invoice_id": NOBODY, "amount": "1.00"}] * 1_001}, "allocate"),
        ({"allocate": [[]]}, "allocate[0]"),
        ({"received_at": "2999-01-01"}, "received_at"),
        ({"school_id": NOBODY}, "school_id"),
        ({"payer_id": None}, "school_id"),
        ({"source": ""}, "source"),
    ],
)
async def test_a_receipt_that_breaks_a_rule_is_refused(api: Api, family: Family, change: Json, field: str) -> None:
    body = {"payer_id": family.payer["id"], "amount": "10.00"} | change
    answer = await api.client.post("/receipts", json=body)
    assert wrong_fields(answer) == [field]
    rules = {"allocate": "or a list of at most 1000 items", "allocate[0]": "must be a JSON object"}
    assert rules.get(field, "") in answer.json()["errors"][0]["message"]


async def test_money_of_nobody_is_booked_and_claimed_later(api: Api, family: Family, others: Family) -> None:
    body = {"payer_id": None, "school_id": family.school["id"], "amount": "120.00"}
    receipt = await post(api, "/receipts", **body)
    assert (receipt["payer_id"], receipt["unallocated"]) == (None, "120.00")
    [listed] = await api.get(f"/receipts?school_id={family.school['id']}&unidentified=true")
    assert listed["id"] == receipt["id"]
    path = f"/receipts/{receipt['id']}"
    problem(await api.client.patch(path, json={"payer_id": others.payer["id"]}), 404, "payer_not_found")
    etag = (await api.client.get(path)).headers["etag"]
    claimed = await api.client.patch(path, json={"payer_id": family.payer["id"]}, headers={"If-Match": etag})
    assert (claimed.json()["payer_id"], claimed.json()["payer_name"]) == (family.payer["id"], "Marge Simpson")
    stale = await api.client.patch(path, json={"payer_id": family.payer["id"]}, headers={"If-Match": etag})
    problem(stale, 412)
    assert await api.get(f"/receipts?school_id={family.school['id']}&unidentified=true") == []
    assert allocated(await post(api, f"{path}/allocations")) == [("Lisa Simpson", "120.00")]
    # A payer who changed the name is still the same, and the receipt says what it said.
    await api.client.patch(f"/payers/{family.payer['id']}", json={"name": "Marge Bouvier"})
    again = await api.client.patch(path, json={"payer_id": family.payer["id"]})
    assert (again.status_code, again.json()["payer_name"]) == (200, "Marge Simpson")
    # What pays invoices keeps its payer.
    other = await api.payer(family.school, name="Homer Simpson")
    problem(await api.client.patch(path, json={"payer_id": other["id"]}), 409, "receipt_allocated")


async def test_a_banks_reference_is_booked_once_in_a_school(api: Api, family: Family, others: Family) -> None:
    known = {"source": "bank", "external_reference": "2026-02-03/42"}
    first = await api.receipt(family.payer, "10.00", **known)
    again = {"payer_id": family.payer["id"], "amount": "10.00"} | known
    keyed = await api.client.post("/receipts", json=again, headers={"Idempotency-Key": "another"})
    assert problem(keyed, 409, "receipt_known")["receipt_id"] == first["id"]
    # Another school, and another source, may have the same number. No source is a source, too.
    unnamed = {"payer_id": family.payer["id"], "amount": "10.00", "external_reference": known["external_reference"]}
    second = await post(api, "/receipts", **unnamed)
    assert problem(await api.client.post("/receipts", json=unnamed), 409)["receipt_id"] == second["id"]
    await api.receipt(others.payer, "10.00", **known, allocate="none")
    await api.receipt(family.payer, "10.00", **(known | {"source": "card"}))
    assert len(await api.get(f"/receipts?payer_id={family.payer['id']}&external_reference=2026-02-03/42")) == 3


async def test_a_reference_that_many_sources_use_is_known_of_each(api: Api, psql: Any, family: Family) -> None:
    await psql.execute(
        "insert into receipts (school_id, amount, source, external_reference) "
        "select $1, 1, 'branch-' || number, 'A-1' from generate_series(1, 501) as number",
        family.school["id"],
    )
    last = {"payer_id": family.payer["id"], "amount": "1.00", "source": "branch-0", "external_reference": "A-1"}
    receipt = await post(api, "/receipts", **last)
    assert problem(await api.client.post("/receipts", json=last), 409, "receipt_known")["receipt_id"] == receipt["id"]


async def test_a_currency_without_cents_names_the_amount_that_has_some(api: Api) -> None:
    school = await api.school(currency="CLP")
    payer = await api.payer(school)
    invoice = await api.invoice(await api.student(school), "500.00")
    listed = [{"invoice_id": invoice["id"], "amount": "0.50"}]
    for amount, allocate, field in (("100.50", "none", "amount"), ("100.00", listed, "allocate[0].amount")):
        body = {"payer_id": payer["id"], "amount": amount, "allocate": allocate}
        assert wrong_fields(await api.client.post("/receipts", json=body)) == [field]
    receipt = await api.receipt(payer, "100.00", allocate="none")
    answer = await api.client.post(f"/receipts/{receipt['id']}/allocations", json={"allocate": listed})
    assert wrong_fields(answer) == ["allocate[0].amount"]


async def test_the_tag_of_a_receipt_knows_the_names_on_it(api: Api, family: Family) -> None:
    path = f"/receipts/{(await api.receipt(family.payer, '600.00'))['id']}"
    bart = family.invoices[0]
    for other, change in (
        (f"/students/{bart['student_id']}", {"full_name": "Bartholomew Simpson"}),
        (f"/invoices/{bart['id']}", {"description": "Term 1"}),
    ):
        known = (await api.client.get(path)).headers["etag"]
        assert (await api.client.get(path, headers={"If-None-Match": known})).status_code == 304
        assert (await api.client.patch(other, json=change)).status_code == 200
        now = await api.client.get(path, headers={"If-None-Match": known})
        assert now.status_code == 200
        assert next(iter(change.values())) in now.text
    # The receipt itself is still the version that is known.
    nothing = await api.client.post(f"{path}/allocations", json={}, headers={"If-Match": known})
    assert nothing.status_code == 201


async def test_an_allocation_is_taken_back_once_and_stays_as_it_is(api: Api, family: Family) -> None:
    receipt = await api.receipt(family.payer, "600.00")
    lisa = next(one for one in receipt["allocations"] if one["full_name"] == "Lisa Simpson")
    payment = f"/payments/{lisa['payment_id']}"
    problem(await api.client.patch(payment, json={"amount": "1.00"}), 409, "belongs_to_receipt")
    problem(await api.client.delete(payment), 409, "belongs_to_receipt")
    meant = {"reason": "Meant for Maggie"}
    problem(await api.client.post(f"{payment}/reverse", json=meant, headers={"If-Match": '"0"'}), 412)
    refund = await post(api, f"{payment}/reverse", **meant)
    assert (refund["kind"], refund["amount"], refund["reverses_id"]) == ("REFUND", "200.00", lisa["payment_id"])
    assert await due(api, family) == ["0.00", "200.00", "0.00"]
    now = await api.get(f"/receipts/{receipt['id']}")
    assert balances(now) == ("600.00", "400.00", "0.00", "200.00")
    assert sum(one["reversed_at"] is not None for one in now["allocations"]) == 1
    reason = {"reason": "Again"}
    problem(await api.client.post(f"{payment}/reverse", json=reason), 409, "allocation_reversed")
    problem(await api.client.post(f"/payments/{refund['id']}/reverse", json=reason), 409, "not_allocated")
    direct = await api.pay(family.invoices[1], "1.00")
    problem(await api.client.post(f"/payments/{direct['id']}/reverse", json=reason), 409, "not_allocated")
    problem(await api.client.post(f"/payments/{NOBODY}/reverse", json=reason), 404, "payment_not_found")


async def test_unallocated_money_is_given_back(api: Api, family: Family) -> None:
    receipt = await api.receipt(family.payer, "650.00")
    path = f"/receipts/{receipt['id']}"
    told = problem(await api.client.post(f"{path}/refunds", json={"amount": "50.01"}), 409, "receipt_spent")
    assert told["unallocated"] == "50.00"
    answer = await api.client.post(f"{path}/refunds", json={"amount": "20.00", "method": "cash", "reason": "Asked"})
    assert answer.status_code == 201
    assert balances(answer.json()) == ("650.00", "600.00", "20.00", "30.00")
    assert [(one["amount"], one["reason"]) for one in answer.json()["refunds"]] == [("20.00", "Asked")]
    now = await api.client.get(path)
    assert (now.json(), now.headers["etag"]) == (answer.json(), answer.headers["etag"])
    # Money that was given back had arrived.
    problem(await api.client.post(f"{path}/reverse", json={"reason": "Bounced"}), 409, "receipt_refunded")


async def test_a_bounced_cheque_brings_the_debts_back(api: Api, family: Family, others: Family) -> None:
    receipt = await api.receipt(family.payer, "600.00", received_at="2026-02-03T10:00:00Z")
    path = f"/receipts/{receipt['id']}"
    early = {"reason": "Bounced", "reversed_at": "2026-02-03T09:00:00Z"}
    assert (await api.client.post(f"{path}/reverse", json=early)).status_code in {409, 422}
    bounced = {"reason": "Bounced", "reversed_at": "2026-02-10"}
    stale: list[tuple[str, Json]] = [("reverse", bounced), ("refunds", {"amount": "1.00"}), ("allocations", {})]
    for action, body in stale:
        problem(await api.client.post(f"{path}/{action}", json=body, headers={"If-Match": '"0"'}), 412)
    version = {"If-Match": (await api.client.get(path)).headers["etag"]}
    answer = await api.client.post(f"{path}/reverse", json=bounced, headers=version)
    reversed_ = answer.json()
    assert balances(reversed_) == ("600.00", "0.00", "0.00", "0.00")
    assert {one["reversed_at"] for one in reversed_["allocations"]} == {reversed_["reversed_at"]}
    now = await api.client.get(path)
    assert (now.json(), now.headers["etag"]) == (reversed_, answer.headers["etag"])
    assert await due(api, family) == ["100.00", "200.00", "300.00"]
    assert [(await api.reload(one))["due_date"] for one in family.invoices] == [MARCH, JANUARY, FEBRUARY]
    for action, body in (
        ("reverse", {"reason": "Again"}),
        ("refunds", {"amount": "1.00"}),
        ("allocations", {}),
        ("allocations", {"allocate": [{"invoice_id": family.invoices[0]["id"], "amount": "1.00"}]}),
    ):
        problem(await api.client.post(f"{path}/{action}", json=body), 409, "receipt_reversed")
    claim = await api.client.patch(path, json={"payer_id": family.payer["id"]})
    problem(claim, 409, "receipt_reversed")


async def test_money_of_a_receipt_is_refunded_from_the_receipt_alone(api: Api, family: Family) -> None:
    """Refunded on an invoice that is then voided, the receipt could not be reversed any more."""
    lisa = family.invoices[1]
    receipt = await api.receipt(family.payer, "150.00")  # It pays Lisa.
    paid = await api.pay(lisa, "50.00")
    refund = {"invoice_id": lisa["id"], "kind": "REFUND", "amount": "60.00"}
    refused = problem(await api.client.post("/payments", json=refund), 409, "over_refund")
    assert refused["beyond"] == "10.00"
    assert "POST /receipts/{id}/refunds" in refused["detail"]
    given_back = await api.refund(lisa, "50.00")
    larger = await api.client.patch(f"/payments/{given_back['id']}", json={"amount": "50.01"})
    smaller = await api.client.patch(f"/payments/{paid['id']}", json={"amount": "49.99"})
    moved = await api.client.patch(f"/payments/{paid['id']}", json={"invoice_id": family.invoices[0]["id"]})
    deleted = await api.client.delete(f"/payments/{paid['id']}")
    beyond = [problem(answer, 409, "over_refund")["beyond"] for answer in (larger, smaller, moved, deleted)]
    assert beyond == ["0.01", "0.01", "50.00", "50.00"]
    await post(api, f"/receipts/{receipt['id']}/reverse", reason="Bounced")
    assert (await api.reload(lisa))["paid_total"] == "0.00"


async def test_no_movement_is_dated_before_an_earlier_one(api: Api, family: Family) -> None:
    receipt = await api.receipt(family.payer, "650.00", received_at="2026-02-03T10:00:00Z")
    path = f"/receipts/{receipt['id']}"
    early = {"amount": "1.00", "refunded_at": "2026-02-03T09:00:00Z"}
    problem(await api.client.post(f"{path}/refunds", json=early), 409, "receipt_moved_later")
    await post(api, f"{path}/allocations", allocate="none")
    lisa = next(one for one in receipt["allocations"] if one["full_name"] == "Lisa Simpson")
    await post(api, f"/payments/{lisa['payment_id']}/reverse", reason="Now")
    late = {"reason": "Bounced", "reversed_at": "2026-02-10"}
    problem(await api.client.post(f"{path}/reverse", json=late), 409, "receipt_moved_later")
    # Today is not over, so as a day it is no earlier than what happened today.
    today = {"name": "Springfield Elementary", "time_zone": "Pacific/Auckland"}
    payer = await api.payer(await api.school(**today))
    day = datetime.now(ZoneInfo("Pacific/Auckland")).date().isoformat()
    path = f"/receipts/{(await api.receipt(payer, '5.00'))['id']}"
    await post(api, f"{path}/refunds", amount="1.00", refunded_at=day)
    path = f"/receipts/{(await api.receipt(payer, '5.00'))['id']}"
    await post(api, f"{path}/reverse", reason="Bounced", reversed_at=day)
    # Nor is the invoice dated after the money that pays it.
    bart = family.invoices[0]["id"]
    moved = await api.client.patch(f"/invoices/{bart}", json={"issued_at": "2026-02-04"})
    assert moved.status_code == 409


async def test_money_paid_in_advance_waits_for_its_invoice(api: Api, family: Family) -> None:
    student = family.children[0]
    payer = await api.payer(family.school, name="Patty Bouvier")
    receipt = await api.receipt(payer, "500.00", received_at="2025-08-20T10:00:00Z")
    assert receipt["unallocated"] == "500.00"
    invoice = await api.invoice(student, "400.00", payer_id=payer["id"], issued_at="2025-09-01T00:00:00Z")
    paid = await post(api, f"/receipts/{receipt['id']}/allocations")
    assert balances(paid) == ("500.00", "400.00", "0.00", "100.00")
    assert (await api.reload(invoice))["status"] == "PAID"
    # A receipt that is booked after the invoice but dated before it pays from the day of the invoice on.
    second = await api.invoice(student, "50.00", payer_id=payer["id"], issued_at="2025-10-01T00:00:00Z")
    early = await api.receipt(payer, "50.00", received_at="2025-09-15T00:00:00Z")
    assert [one["allocated_at"] for one in early["allocations"]] == ["2025-10-01T00:00:00Z"]
    assert (await api.reload(second))["status"] == "PAID"


async def test_a_refunded_invoice_can_be_paid_by_an_older_receipt(api: Api, family: Family) -> None:
    """Dated by the receipt, twice the total would have been paid on the days before the refund."""
    bart = family.invoices[0]
    await api.pay(bart, "100.00", paid_at="2026-01-10T00:00:00Z")
    await api.refund(bart, "100.00", paid_at="2026-01-20T00:00:00Z")
    given = [{"invoice_id": bart["id"], "amount": "100.00"}]
    receipt = await api.receipt(family.payer, "100.00", received_at="2026-01-05T00:00:00Z", allocate=given)
    assert [one["allocated_at"] for one in receipt["allocations"]] == ["2026-01-20T00:00:00Z"]


async def test_a_key_books_the_money_once(api: Api, family: Family) -> None:
    body = {"payer_id": family.payer["id"], "amount": "650.00"}
    answers = [await api.client.post("/receipts", json=body, headers={"Idempotency-Key": "november"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[0].headers["location"] == answers[1].headers["location"]
    path = answers[0].headers["location"]
    for action, given in (("refunds", {"amount": "10.00"}), ("allocations", {}), ("reverse", {"reason": "Bounced"})):
        path_of_action = f"{path}/{action}"
        tries = [
            await api.client.post(path_of_action, json=given, headers={"Idempotency-Key": "december"}) for _ in range(2)
        ]
        if action == "reverse":  # Refunded, so not possible: an error is not kept.
            assert {one.status_code for one in tries} == {409}
            continue
        assert tries[0].json() == tries[1].json()
        assert {one.headers["location"] for one in tries} == {path}
    assert (await api.get(path))["refunded_total"] == "10.00"


async def test_a_receipt_stays_when_its_payer_is_renamed(api: Api, family: Family) -> None:
    receipt = await api.receipt(family.payer, "10.00")
    renamed = await api.client.patch(f"/payers/{family.payer['id']}", json={"name": "Marge Bouvier"})
    assert renamed.status_code == 200
    assert await api.get(f"/receipts/{receipt['id']}") == receipt
    problem(await api.client.delete(f"/payers/{family.payer['id']}"), 409, "in_use")


async def test_receipts_are_listed_by_what_is_known_of_them(api: Api, family: Family, others: Family) -> None:
    fields = {"method": "cash", "reference": "R-1", "received_at": "2026-02-03T10:00:00Z"}
    cash = await api.receipt(family.payer, "10.00", **fields)
    rest = await api.receipt(family.payer, "700.00", received_at="2026-02-05T10:00:00Z")
    await api.receipt(others.payer, "10.00", **fields, allocate="none")
    of_payer = f"/payers/{family.payer['id']}/receipts"

    async def found(query: str) -> list[str]:
        return [one["amount"] for one in await api.get(f"{of_payer}?{query}")]

    assert await found("") == ["10.00", "700.00"]
    assert await found("method=Cash") == ["10.00"]
    assert await found("reference=R-1") == ["10.00"]
    assert await found("received_to=2026-02-04") == ["10.00"]
    assert await found("received_from=2026-02-04&received_to=2026-02-05") == ["700.00"]
    assert await found("unallocated=true") == ["700.00"]
    assert await found("unallocated=false") == ["10.00"]
    assert await found("order=desc&limit=1") == ["700.00"]
    listed = await api.get(of_payer)
    assert [one["id"] for one in listed] == [cash["id"], rest["id"]]
    assert "allocations" not in listed[0]
    problem(await api.client.get(f"/payers/{NOBODY}/receipts"), 404, "payer_not_found")


async def test_a_receipt_over_a_thousand_invoices(api: Api, family: Family, psql: Any) -> None:
    payer = await api.payer(family.school, name="The Springfield Fund")
    await psql.execute(
        "insert into invoices (school_id, student_id, payer_id, total_amount, due_date)"
        " select $1, $2, $3, 10.00, '2026-01-01'::date + n from generate_series(1, 1000) as n",
        *(family.school["id"], family.children[0]["id"], payer["id"]),
    )
    receipt = await api.receipt(payer, "10005.00")
    assert (len(receipt["allocations"]), receipt["unallocated"]) == (1_000, "5.00")
    reversed_ = await post(api, f"/receipts/{receipt['id']}/reverse", reason="Bounced")
    assert reversed_["allocated_total"] == "0.00"
    assert await psql.fetchval("select sum(balance_due) from invoices where payer_id = $1", payer["id"]) == 10_000


async def test_the_database_keeps_receipts_for_every_writer(api: Api, family: Family, psql: Any) -> None:
    receipt = await api.receipt(family.payer, "610.00")
    other = await api.receipt(family.payer, "5.00")
    bounced = await api.receipt(family.payer, "7.00")
    await post(api, f"/receipts/{bounced['id']}/reverse", reason="Bounced")
    school, invoice = family.school["id"], family.invoices[0]["id"]
    allocation = receipt["allocations"][0]["payment_id"]
    add = "insert into payments (school_id, invoice_id, receipt_id, kind, amount, reverses_id, paid_at) values"
    for statement, constraint in (
        (f"update receipts set allocated_total = 0 where id = '{receipt['id']}'", "receipts_totals_follow_movements"),
        (f"update receipts set amount = 1 where id = '{receipt['id']}'", "receipts_are_fixed"),
        (
            f"update receipts set reversed_at = null, reverse_reason = null where id = '{bounced['id']}'",
            "receipts_are_fixed",
        ),
        (f"update payments set receipt_id = null where id = '{allocation}'", "payments_belong_to_receipt"),
        (f"delete from payments where id = '{allocation}'", "payments_belong_to_receipt"),
        (
            f"update receipts set reversed_at = now(), reverse_reason = 'x' where id = '{receipt['id']}'",
            "receipts_none_allocated_when_reversed",
        ),
        (
            f"{add} ('{school}', '{invoice}', '{other['id']}', 'REFUND', 1, null, now())",
            "payments_refunds_of_receipts_name_their_payment",
        ),
        (
            f"{add} ('{school}', '{invoice}', '{receipt['id']}', 'REFUND', 1, '{allocation}', now())",
            "payments_take_back_a_whole_allocation",
        ),
        (
            f"insert into receipt_refunds (school_id, receipt_id, amount) values ('{school}', '{receipt['id']}', 11)",
            "receipts_spent_at_most_amount",
        ),
    ):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
            await psql.execute(statement)
        assert refused.value.constraint_name == constraint


async def test_a_caller_of_another_school_sees_no_receipt(
    api: Api, family: Family, others: Family, make_client: Callable[..., httpx.AsyncClient]
) -> None:
    known = {"source": "bank", "external_reference": "1"}
    receipt = await api.receipt(family.payer, "650.00", **known)
    payment = receipt["allocations"][0]["payment_id"]
    async with make_client(Role.ACCOUNTANT, UUID(others.school["id"])) as http:
        stranger = Api(http)
        path = f"/receipts/{receipt['id']}"
        for method, at, body in (
            ("GET", path, None),
            ("PATCH", path, {"payer_id": others.payer["id"]}),
            ("POST", f"{path}/allocations", {}),
            ("POST", f"{path}/refunds", {"amount": "1.00"}),
            ("POST", f"{path}/reverse", {"reason": "x"}),
            ("POST", f"/payments/{payment}/reverse", {"reason": "x"}),
            ("GET", f"/payers/{family.payer['id']}/receipts", None),
            ("POST", "/receipts", {"payer_id": family.payer["id"], "amount": "1.00"}),
            ("POST", "/receipts", {"school_id": family.school["id"], "amount": "1.00"}),
        ):
            problem(await stranger.client.request(method, at, json=body), 404)
        listed = [{"invoice_id": family.invoices[0]["id"], "amount": "1.00"}]
        theirs = {"payer_id": others.payer["id"], "amount": "1.00", "allocate": listed}
        assert wrong_fields(await stranger.client.post("/receipts", json=theirs)) == ["allocate[0].invoice_id"]
        # Nor does a number that is known elsewhere tell that it is.
        await stranger.receipt(others.payer, "1.00", **known, allocate="none")
        assert [one["payer_id"] for one in await stranger.get("/receipts")] == [others.payer["id"]]
    assert await api.get(path) == receipt
    assert Decimal(receipt["unallocated"]) == 50
