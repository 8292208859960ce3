"""Credit notes, discounts and write-offs: what is owed less, without money."""

import csv
import io
import zipfile
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from school_billing.auth.contracts import Role
from tests.api import NOBODY, Api, Json, problem, wrong_fields

JANUARY = "2026-01-01T00:00:00Z"


@pytest.fixture
async def other(api: Api) -> Any:
    """An invoice of another school, which nothing here must touch."""
    invoice = await api.invoice(total="100.00")
    await adjust(api, invoice, "discounts", amount="1.00")
    untouched = await api.reload(invoice)
    yield invoice
    assert await api.reload(invoice) == untouched


async def send(api: Api, invoice: Json, what: str, **body: Any) -> httpx.Response:
    return await api.client.post(f"/invoices/{invoice['id']}/{what}", json={"reason": "Moved away"} | body)


async def adjust(api: Api, invoice: Json, what: str, **body: Any) -> Json:
    answer = await send(api, invoice, what, **body)
    assert answer.status_code == 201, answer.text
    adjustment: Json = answer.json()
    assert answer.headers["location"] == f"/adjustments/{adjustment['id']}"
    return adjustment


async def reverse(api: Api, adjustment: Json) -> httpx.Response:
    return await api.client.post(f"/adjustments/{adjustment['id']}/reverse", json={"reason": "By mistake"})


async def totals(api: Api, invoice: Json) -> tuple[str, ...]:
    """Return what is credited, discounted, written off and paid, what is left, and the status."""
    now = await api.reload(invoice)
    names = ("credited_total", "discounted_total", "written_off_total", "paid_total", "balance_due", "status")
    return tuple(now[name] for name in names)


async def test_each_kind_takes_its_amount_off_the_invoice(api: Api, other: Json) -> None:
    invoice = await api.invoice(total="100.00", issued_at=JANUARY)
    note = await adjust(api, invoice, "credit-notes", amount="30.00", reason="No lunch", adjusted_at="2026-02-01")
    assert (note["kind"], note["amount"], note["reason"]) == ("CREDIT_NOTE", "30.00", "No lunch")
    assert (note["adjusted_at"], note["reverses_id"], note["number"], note["currency"], note["lines"]) == (
        "2026-02-01T00:00:00Z", None, None, "USD", [],
    )  # fmt: skip
    assert await totals(api, invoice) == ("30.00", "0.00", "0.00", "0.00", "70.00", "PENDING")
    discount = await adjust(api, invoice, "discounts", amount="20.00")
    assert await totals(api, invoice) == ("30.00", "20.00", "0.00", "0.00", "50.00", "PENDING")
    await api.pay(invoice, "10.00")
    assert await totals(api, invoice) == ("30.00", "20.00", "0.00", "10.00", "40.00", "PARTIAL")
    write_off = await adjust(api, invoice, "write-off")
    assert (write_off["kind"], write_off["amount"]) == ("WRITE_OFF", "40.00")  # 100.00 - 30.00 - 20.00 - 10.00
    assert await totals(api, invoice) == ("30.00", "20.00", "40.00", "10.00", "0.00", "WRITTEN_OFF")
    listed = await api.get(f"/invoices/{invoice['id']}/adjustments")
    assert [one["id"] for one in listed] == [note["id"], discount["id"], write_off["id"]]
    found = await api.client.get(f"/adjustments/{note['id']}")
    assert found.json() == note
    unchanged = await api.client.get(f"/adjustments/{note['id']}", headers={"If-None-Match": found.headers["etag"]})
    assert unchanged.status_code == 304


async def test_a_part_is_credited_and_the_rest_is_paid_and_then_nothing_is_left(api: Api, other: Json) -> None:
    invoice = await api.invoice(total="100.00")
    await adjust(api, invoice, "credit-notes", amount="40.00")
    over = await api.client.post("/payments", json={"invoice_id": invoice["id"], "amount": "60.01"})
    assert problem(over, 409, "overpayment")["balance_due"] == "60.00"
    await api.pay(invoice, "60.00")
    assert await totals(api, invoice) == ("40.00", "0.00", "0.00", "60.00", "0.00", "PAID")
    for what in ("credit-notes", "discounts"):
        refused = problem(await send(api, invoice, what, amount="0.01"), 409, "over_adjustment")
        assert (refused["balance_due"], refused["paid_total"], refused["credited_total"]) == ("0.00", "60.00", "40.00")
        assert refused["detail"].startswith("The balance due on the invoice is 0.00; no more can be taken off.")
    nothing = problem(await send(api, invoice, "write-off"), 409, "over_adjustment")
    assert nothing["detail"] == "Nothing is left on the invoice, so there is nothing to write off."
    # The total cannot fall below what is paid and credited either.
    lower = await api.client.patch(f"/invoices/{invoice['id']}", json={"total_amount": "99.99"})
    assert problem(lower, 409, "overpayment")["detail"].startswith("100.00 is paid, credited or written off")
    assert len(await api.get(f"/invoices/{invoice['id']}/adjustments")) == 1


async def test_the_whole_is_credited_to_the_last_cent(api: Api) -> None:
    invoice = await api.invoice(total="0.01")
    await adjust(api, invoice, "credit-notes", amount="0.01")
    assert await totals(api, invoice) == ("0.01", "0.00", "0.00", "0.00", "0.00", "CREDITED")
    for status, count in (("CREDITED", 1), ("PENDING,PARTIAL,PAID,VOID,WRITTEN_OFF", 0)):
        assert len(await api.get(f"/invoices?student_id={invoice['student_id']}&status={status}")) == count
    assert await api.get(f"/invoices?student_id={invoice['student_id']}&open=true") == []
    over = await api.client.post("/payments", json={"invoice_id": invoice["id"], "amount": "0.01"})
    assert problem(over, 409, "overpayment")["balance_due"] == "0.00"


async def test_a_written_off_invoice_takes_no_payment_until_that_is_reversed(api: Api, other: Json) -> None:
    school = await api.school()
    payer = await api.payer(school)
    invoice = await api.invoice(await api.student(school), "100.00", payer_id=payer["id"])
    await adjust(api, invoice, "discounts", amount="10.00")
    write_off = await adjust(api, invoice, "write-off")
    receipt = await api.receipt(payer, "50.00")
    # The rule gives it nothing, and a list is refused like a payment.
    assert (receipt["allocations"], receipt["unallocated"]) == ([], "50.00")
    listed = {"allocate": [{"invoice_id": invoice["id"], "amount": "50.00"}]}
    for path, body in (
        ("/payments", {"invoice_id": invoice["id"], "amount": "1.00"}),
        (f"/receipts/{receipt['id']}/allocations", listed),
        ("/receipts", {"payer_id": payer["id"], "amount": "50.00"} | listed),
    ):
        refused = problem(await api.client.post(path, json=body), 409, "invoice_written_off")
        assert refused["adjustment_id"] == write_off["id"]
    reversal = (await reverse(api, write_off)).json()
    assert (reversal["kind"], reversal["amount"], reversal["reverses_id"]) == ("WRITE_OFF", "90.00", write_off["id"])
    assert await totals(api, invoice) == ("0.00", "10.00", "0.00", "0.00", "90.00", "PENDING")
    await api.pay(invoice, "40.00")
    allocated = await api.client.post(f"/receipts/{receipt['id']}/allocations", json=listed)
    assert allocated.json()["allocated_total"] == "50.00"
    assert await totals(api, invoice) == ("0.00", "10.00", "0.00", "90.00", "0.00", "PAID")
    problem(await reverse(api, write_off), 409, "adjustment_reversed")
    problem(await reverse(api, reversal), 409, "adjustment_is_reversal")
    problem(await reverse(api, {"id": NOBODY}), 404, "adjustment_not_found")


async def test_an_invoice_is_voided_when_nothing_on_it_counts(api: Api, other: Json) -> None:
    invoice = await api.invoice(total="100.00")
    path = f"/invoices/{invoice['id']}"
    note = await adjust(api, invoice, "credit-notes", amount="30.00")
    write_off = await adjust(api, invoice, "write-off")
    for last in (write_off, note):
        refused = problem(await api.client.post(f"{path}/void", json={"reason": "Wrong"}), 409, "invoice_adjusted")
        assert refused["adjustment_id"] == last["id"]
        assert (await reverse(api, last)).status_code == 201
    problem(await api.client.delete(path), 409, "in_use")
    moved = await api.client.patch(path, json={"student_id": (await api.student())["id"]})
    problem(moved, 409, "invoice_has_payments")
    assert (await api.client.post(f"{path}/void", json={"reason": "Wrong"})).json()["status"] == "VOID"
    for what, body in (("credit-notes", {"amount": "1.00"}), ("discounts", {"amount": "1.00"}), ("write-off", {})):
        problem(await send(api, invoice, what, **body), 409, "invoice_void")
    assert await totals(api, invoice) == ("0.00", "0.00", "0.00", "0.00", "0.00", "VOID")


async def test_a_credit_note_with_lines_has_their_sum(api: Api) -> None:
    invoice = await api.invoice(total="100.00")
    lines: list[Json] = [
        {"description": "Lunch", "category": "meals", "amount": "30.00"},
        {"description": "Fee for changes", "category": None, "amount": "-5.50"},
    ]
    note = await adjust(api, invoice, "credit-notes", lines=lines)
    assert note["amount"] == "24.50"
    assert note["lines"] == [{"position": place} | line for place, line in enumerate(lines, 1)]
    assert await api.get(f"/adjustments/{note['id']}") == note
    assert "lines" not in (await api.get(f"/invoices/{invoice['id']}/adjustments"))[0]
    assert wrong_fields(await send(api, invoice, "credit-notes", lines=lines, amount="24.50")) == ["lines"]
    assert wrong_fields(await send(api, invoice, "credit-notes", lines=[lines[1]])) == ["lines"]
    assert wrong_fields(await send(api, invoice, "credit-notes")) == ["amount"]
    assert await totals(api, invoice) == ("24.50", "0.00", "0.00", "0.00", "75.50", "PENDING")


@pytest.mark.parametrize(
    ("what", "body", "field"),
    [
        ("credit-notes", {"amount": "0.00"}, "amount"),
        ("credit-notes", {"amount": "-1.00"}, "amount"),
        ("discounts", {"amount": 0}, "amount"),
        ("discounts", {}, "amount"),
        ("discounts", {"amount": "1.00", "reason": ""}, "reason"),
        ("discounts", {"amount": "1.00", "release": True}, "release"),
        ("write-off", {"reason": None}, "reason"),
        ("write-off", {"amount": "1.00"}, "amount"),
        *((what, {"adjusted_at": "2999-01-01"}, "adjusted_at") for what in ("credit-notes", "discounts", "write-off")),
        *((what, {"adjusted_at": "2025-12-31"}, "adjusted_at") for what in ("credit-notes", "discounts", "write-off")),
    ],
)
async def test_an_adjustment_that_breaks_a_rule_is_refused(api: Api, what: str, body: Json, field: str) -> None:
    invoice = await api.invoice(total="100.00", issued_at=JANUARY)
    amount: Json = {} if what == "write-off" or "amount" in body or field == "amount" else {"amount": "1.00"}
    assert wrong_fields(await send(api, invoice, what, **(amount | body))) == [field]
    assert await api.reload(invoice) == invoice


async def test_an_invoice_is_not_issued_after_its_adjustments(api: Api) -> None:
    invoice = await api.invoice(total="100.00", issued_at=JANUARY)
    await adjust(api, invoice, "discounts", amount="1.00", adjusted_at="2026-02-01")
    path = f"/invoices/{invoice['id']}"
    problem(await api.client.patch(path, json={"issued_at": "2026-02-02"}), 409, "issued_after_adjustment")
    assert (await api.client.patch(path, json={"issued_at": "2026-02-01"})).status_code == 200
    ahead = await api.invoice(total="100.00", issued_at="2990-01-01")
    assert wrong_fields(await send(api, ahead, "write-off")) == ["adjusted_at"]


async def test_a_currency_without_cents_has_none_in_adjustments(api: Api) -> None:
    invoice = await api.invoice(await api.student(await api.school(currency="CLP")), "100")
    assert wrong_fields(await send(api, invoice, "credit-notes", amount="0.50")) == ["amount"]
    halves = [{"description": "Half", "amount": "0.50"}] * 2
    assert wrong_fields(await send(api, invoice, "credit-notes", lines=halves)) == ["lines[0].amount"]
    assert wrong_fields(await send(api, invoice, "discounts", amount="1.10")) == ["amount"]
    await adjust(api, invoice, "credit-notes", amount="100")


class Released:
    """An invoice of 100.00 that two receipts pay, 70.00 and then 30.00."""

    payer: Json
    invoice: Json
    receipts: list[Json]


@pytest.fixture
async def paid(api: Api) -> Released:
    one = Released()
    school = await api.school()
    one.payer = await api.payer(school)
    one.invoice = await api.invoice(await api.student(school), "100.00", payer_id=one.payer["id"], issued_at=JANUARY)
    one.receipts = [
        await api.receipt(one.payer, amount, received_at=day)
        for amount, day in (("70.00", "2026-02-01"), ("30.00", "2026-03-01"))
    ]
    return one


async def unallocated(api: Api, paid: Released) -> list[str]:
    return [(await api.get(f"/receipts/{receipt['id']}"))["unallocated"] for receipt in paid.receipts]


async def test_a_credit_note_releases_the_youngest_money_as_far_as_needed(
    api: Api, paid: Released, other: Json
) -> None:
    refused = problem(await send(api, paid.invoice, "credit-notes", amount="45.00"), 409, "over_adjustment")
    assert refused["balance_due"] == "0.00"
    await adjust(api, paid.invoice, "credit-notes", amount="45.00", release=True)
    # All of the 30.00 of March, and 15.00 of the 70.00 of February.
    assert await unallocated(api, paid) == ["15.00", "30.00"]
    assert await totals(api, paid.invoice) == ("45.00", "0.00", "0.00", "55.00", "0.00", "PAID")
    payments = await api.get(f"/invoices/{paid.invoice['id']}/payments")
    assert sorted((one["kind"], one["amount"], one["reason"]) for one in payments[2:]) == [
        ("PAYMENT", "55.00", None), ("REFUND", "30.00", "Moved away"), ("REFUND", "70.00", "Moved away"),
    ]  # fmt: skip
    statement = await api.get(f"/payers/{paid.payer['id']}/statement")
    assert (statement["unallocated"], statement["balance"]) == ("45.00", "-45.00")
    # More than was billed is not what was paid directly.
    over = problem(await send(api, paid.invoice, "credit-notes", amount="55.01", release=True), 409, "over_adjustment")
    assert over["paid_total"] == "55.00"
    # What is open needs no release.
    await adjust(api, paid.invoice, "credit-notes", amount="55.00", release=True)
    assert await unallocated(api, paid) == ["70.00", "30.00"]
    assert await totals(api, paid.invoice) == ("100.00", "0.00", "0.00", "0.00", "0.00", "CREDITED")


async def test_a_part_of_an_allocation_is_released_on_a_written_off_invoice_too(api: Api, paid: Released) -> None:
    await api.client.patch(f"/invoices/{paid.invoice['id']}", json={"total_amount": "150.00"})
    await adjust(api, paid.invoice, "write-off")
    await adjust(api, paid.invoice, "credit-notes", amount="20.00", release=True)
    assert await totals(api, paid.invoice) == ("20.00", "0.00", "50.00", "80.00", "0.00", "WRITTEN_OFF")
    assert await unallocated(api, paid) == ["0.00", "20.00"]
    void = await api.invoice({"id": paid.invoice["student_id"]}, "10.00")
    await api.client.post(f"/invoices/{void['id']}/void", json={"reason": "Entered twice"})
    problem(await send(api, void, "credit-notes", amount="1.00", release=True), 409, "invoice_void")


async def test_a_credit_note_of_the_past_releases_money_from_its_day_on(api: Api, paid: Released) -> None:
    await adjust(api, paid.invoice, "credit-notes", amount="80.00", adjusted_at="2026-02-10", release=True)
    path = f"/payers/{paid.payer['id']}/statement?as_of="
    days = {day: await api.get(path + day) for day in ("2026-02-09", "2026-02-10", "2026-03-01")}
    found = {day: (one["totals"]["balance_due_total"], one["unallocated"]) for day, one in days.items()}
    # 100.00 - 70.00; then 80.00 less is owed, and 50.00 of the 70.00 are free; in March all 30.00 are.
    assert found == {"2026-02-09": ("30.00", "0.00"), "2026-02-10": ("0.00", "50.00"), "2026-03-01": ("0.00", "80.00")}


async def test_money_that_was_paid_directly_is_not_released(api: Api, paid: Released, other: Json) -> None:
    await adjust(api, paid.invoice, "credit-notes", amount="20.00", release=True)
    payment = await api.client.post("/payments", json={"invoice_id": paid.invoice["id"], "amount": "1.00"})
    problem(payment, 409, "overpayment")
    mixed = await api.invoice({"id": paid.invoice["student_id"]}, "100.00", payer_id=paid.payer["id"])
    await api.pay(mixed, "80.00")
    allocated = await api.client.post(f"/receipts/{paid.receipts[1]['id']}/allocations", json={})
    assert allocated.json()["unallocated"] == "0.00"
    # 100.00 - 80.00 paid directly leaves 20.00, which the receipt pays.
    refused = problem(await send(api, mixed, "credit-notes", amount="20.01", release=True), 409, "paid_directly")
    assert refused["paid_by_receipts"] == "20.00"
    assert "Refund what was paid directly" in refused["detail"]
    await adjust(api, mixed, "credit-notes", amount="20.00", release=True)
    assert await totals(api, mixed) == ("20.00", "0.00", "0.00", "80.00", "0.00", "PAID")


async def test_a_reversal_counts_from_now_on_and_leaves_no_impossible_past(api: Api) -> None:
    school = await api.school()
    payer = await api.payer(school)
    invoice = await api.invoice(await api.student(school), "100.00", payer_id=payer["id"], issued_at=JANUARY)
    note = await adjust(api, invoice, "credit-notes", amount="80.00", adjusted_at="2026-02-01")
    assert (await reverse(api, note)).status_code == 201
    # On the days of the credit note, no more than 20.00 can have been paid.
    body = {"invoice_id": invoice["id"], "amount": "20.01", "paid_at": "2026-03-01"}
    refused = problem(await api.client.post("/payments", json=body), 409, "overpayment")
    assert (refused["date"], refused["balance_due"]) == ("2026-03-01", "-0.01")
    late = problem(await send(api, invoice, "discounts", amount="20.01", adjusted_at="2026-03-01"), 409)
    assert (late["code"], late["date"]) == ("over_adjustment", "2026-03-01")
    # So the money of March pays from the reversal on.
    receipt = await api.receipt(payer, "100.00", received_at="2026-03-01")
    assert receipt["allocations"][0]["allocated_at"] > "2026-03-02"
    problem(await send(api, invoice, "credit-notes", amount="100.00", adjusted_at="2026-02-01", release=True), 409)


async def test_credit_notes_have_numbers_of_their_own(api: Api) -> None:
    year = datetime.now(UTC).year
    for prefix in ("A", "B"):
        school = await api.school(invoice_prefix=prefix)
        invoice = await api.invoice(await api.student(school), "100.00")
        refused = await send(api, invoice, "credit-notes", amount="100.01")
        problem(refused, 409)
        notes = [await adjust(api, invoice, "credit-notes", amount="1.00") for _ in range(2)]
        assert [note["number"] for note in notes] == [f"{prefix}-C-{year}-000001", f"{prefix}-C-{year}-000002"]
        others = [await adjust(api, invoice, "discounts", amount="1.00"), (await reverse(api, notes[0])).json()]
        assert [one["number"] for one in others] == [None, None]
        found = await api.get(f"/adjustments?number={prefix.lower()}-c-{year}-000002")
        assert [one["id"] for one in found] == [notes[1]["id"]]
        page = await api.get(f"/students/{invoice['student_id']}/statement?from=2026-01-01")
        numbers = [entry["reference"] for entry in page["entries"]]
        assert numbers == [None, notes[0]["number"], notes[1]["number"], None, None]


async def test_the_list_is_filtered(api: Api, other: Json) -> None:
    school = await api.school(time_zone="Pacific/Kiritimati")
    payer = await api.payer(school)
    students = [await api.student(school) for _ in range(2)]
    first = await api.invoice(students[0], payer_id=payer["id"], issued_at=JANUARY)
    second = await api.invoice(students[1], issued_at=JANUARY)
    # 14 hours before UTC: still the second of February there.
    note = await adjust(api, first, "credit-notes", amount="1.00", adjusted_at="2026-02-01T10:00:00Z")
    discount = await adjust(api, second, "discounts", amount="1.00", adjusted_at="2026-02-03")
    write_off = await adjust(api, second, "write-off", adjusted_at="2026-02-04")
    reversal = (await reverse(api, write_off)).json()
    everything = [note, discount, write_off, reversal]
    for query, expected in {
        "": everything,
        "&order=desc": everything[::-1],
        "&limit=1": [note],
        f"&student_id={students[0]['id']}": [note],
        f"&payer_id={payer['id']}": [note],
        f"&payer_id={payer['id']}&student_id={students[1]['id']}": [],
        f"&invoice_id={second['id']}": [discount, write_off, reversal],
        f"&invoice_id={other['id']}": [],
        "&kind=WRITE_OFF": [write_off, reversal],
        "&adjusted_from=2026-02-02&adjusted_to=2026-02-02": [note],
        "&adjusted_from=2026-02-03&adjusted_to=2026-02-04": [discount, write_off],
    }.items():
        found = await api.get(f"/adjustments?school_id={school['id']}{query}")
        assert [one["id"] for one in found] == [one["id"] for one in expected], query
    problem(await api.client.get("/adjustments?kind=VOID"), 400)
    problem(await api.client.get(f"/invoices/{NOBODY}/adjustments"), 404, "invoice_not_found")
    assert await api.get(f"/invoices/{(await api.invoice(students[0]))['id']}/adjustments") == []


async def test_the_same_key_adjusts_once(api: Api) -> None:
    invoice = await api.invoice(total="100.00")
    path = f"/invoices/{invoice['id']}"
    first = None
    for what, body in (
        (f"{path}/credit-notes", {"lines": [{"description": "Lunch", "amount": "5.00"}]}),
        (f"{path}/discounts", {"amount": "5.00"}),
        (f"{path}/write-off", {}),
    ):
        key = {"Idempotency-Key": "once"}
        answers = [await api.client.post(what, json=body | {"reason": "Once"}, headers=key) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 201]
        assert answers[0].json() == answers[1].json()
        assert answers[0].headers["location"] == answers[1].headers["location"]
        assert answers[1].headers["idempotency-replayed"] == "true"
        first = first or answers[0].json()
    assert first is not None
    assert await totals(api, invoice) == ("5.00", "5.00", "90.00", "0.00", "0.00", "WRITTEN_OFF")
    key = {"Idempotency-Key": "reversal"}
    taken = [
        await api.client.post(f"/adjustments/{first['id']}/reverse", json={"reason": "x"}, headers=key)
        for _ in range(2)
    ]
    assert taken[0].json() == taken[1].json()
    assert taken[0].headers["location"] == taken[1].headers["location"] == f"/adjustments/{taken[0].json()['id']}"


async def test_the_auditor_gets_who_when_and_why(api: Api, other: Json, make_client: Any) -> None:
    school = await api.school(invoice_prefix="AUD", time_zone="Pacific/Kiritimati")
    student = await api.student(school, full_name="Lisa Simpson", external_id="S-1")
    invoice = await api.invoice(student, "100.00", issued_at=JANUARY)
    credited = {"amount": "10.00", "reason": "=No lunch", "adjusted_at": "2026-02-01"}
    async with make_client(Role.ACCOUNTANT, UUID(school["id"])) as http:
        note = await adjust(Api(http), invoice, "credit-notes", **credited)
    await adjust(api, invoice, "write-off")
    path = f"/adjustments.csv?school_id={school['id']}"
    answer = await api.client.get(path)
    assert answer.headers["content-disposition"].startswith('attachment; filename="adjustments-springfield')
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    entry, *_ = await api.get(f"/audit?entity_id={note['id']}")
    assert rows[0] == {
        "id": note["id"],
        "invoice_id": invoice["id"],
        "invoice_number": invoice["number"],
        "student_id": student["id"],
        "full_name": "Lisa Simpson",
        "external_id": "S-1",
        "kind": "CREDIT_NOTE",
        "reverses_id": "",
        "number": note["number"],
        "amount": "10.00",
        "reason": "'=No lunch",
        "adjusted_at": "2026-01-31T10:00:00.000000Z",  # The first of February in Kiritimati.
        "recorded_at": rows[0]["recorded_at"],
        "recorded_by": entry["actor"],
        "currency": "USD",
    }
    assert rows[1]["recorded_by"] != rows[0]["recorded_by"]
    assert rows[0]["recorded_at"][:19] == note["created_at"][:19]
    for query, count in {
        "&kind=WRITE_OFF": 1,
        "&adjusted_to=2026-02-01": 1,
        f"&invoice_id={other['id']}": 0,
        f"&student_id={student['id']}": 2,
        f"&payer_id={NOBODY}": 0,
        f"&number={note['number'].lower()}": 1,
    }.items():
        assert (await api.client.get(path + query)).text.count("\r\n") == 1 + count, query
    book = await api.client.get(path.replace(".csv", ".xlsx"))
    assert "xl/worksheets/sheet1.xml" in zipfile.ZipFile(io.BytesIO(book.content)).namelist()
    missing = problem(await api.client.get("/adjustments.csv"), 400, "invalid_parameter")
    assert missing["errors"] == [{"field": "school_id", "message": "is required"}]
    problem(await api.client.get(f"/adjustments.csv?school_id={NOBODY}"), 404, "school_not_found")
    async with make_client(Role.VIEWER, UUID(school["id"])) as viewer:
        problem(await viewer.get(path), 403)
        assert len((await viewer.get("/adjustments")).json()) == 2


async def refused(psql: Any, statement: str, *arguments: object) -> str:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as error:
        await psql.execute(statement, *arguments)
    return str(error.value.constraint_name)


async def test_nobody_changes_an_adjustment_whoever_writes(psql: Any, api: Api, other: Json) -> None:
    invoice = await api.invoice(total="100.00")
    lines = [{"description": "Lunch", "amount": "10.00"}]
    note = await adjust(api, invoice, "credit-notes", lines=lines)
    for change in ("update adjustments set amount = 5", "delete from adjustments"):
        assert await refused(psql, f"{change} where id = $1", note["id"]) == "adjustments_are_fixed"
    for change in ("update adjustment_lines set amount = 5", "delete from adjustment_lines"):
        assert await refused(psql, f"{change} where adjustment_id = $1", note["id"]) == "adjustment_lines_are_fixed"
    assert await refused(psql, "truncate adjustments cascade") == "audited_tables_never_truncated"
    for total in ("credited_total", "discounted_total", "written_off_total", "reversals_total"):
        update = f"update invoices set {total} = {total} + 1 where id = $1"
        assert await refused(psql, update, invoice["id"]) == "invoices_totals_follow_payments"
    add = "insert into adjustments (school_id, invoice_id, kind, amount, reason, reverses_id, number) values "
    ids = (invoice["school_id"], invoice["id"])
    for values, constraint in (
        ("($1, $2, 'CREDIT_NOTE', 95, 'x', null, null)", "invoices_paid_at_most_total"),
        ("($1, $2, 'GIFT', 5, 'x', null, null)", "adjustments_kind_known"),
        ("($1, $2, 'DISCOUNT', 'NaN', 'x', null, null)", "adjustments_amount_positive"),
        ("($1, $2, 'DISCOUNT', 5, 'x', null, 'A-C-2026-000009')", "document_numbers_follow_counters"),
        (f"($1, $2, 'CREDIT_NOTE', 5, 'x', '{note['id']}', null)", "adjustments_reverse_a_whole_adjustment"),
        (f"($1, $2, 'DISCOUNT', 10, 'x', '{note['id']}', null)", "adjustments_reverse_a_whole_adjustment"),
    ):
        assert await refused(psql, add + values, *ids) in {constraint, "invoices_totals_not_negative"}, values
    elsewhere = (other["school_id"], invoice["id"])
    assert await refused(psql, add + "($1, $2, 'DISCOUNT', 5, 'x', null, null)", *elsewhere) == (
        "adjustments_invoice_id_fkey"
    )
    line = (
        "insert into adjustment_lines (school_id, adjustment_id, position, description, amount) "
        "values ($1, $2, 2, 'More', 1)"
    )
    assert await refused(psql, line, invoice["school_id"], note["id"]) == "adjustment_lines_sum_to_amount"
    assert await totals(api, invoice) == ("10.00", "0.00", "0.00", "0.00", "90.00", "PENDING")
    trail = await api.get(f"/audit?entity=adjustments&entity_id={note['id']}")
    assert [(entry["action"], entry["row_after"]["reason"]) for entry in trail] == [("INSERT", "Moved away")]
    # The movement has the entry, not the total that it moved.
    assert len(await api.get(f"/audit?entity_id={invoice['id']}")) == 1
