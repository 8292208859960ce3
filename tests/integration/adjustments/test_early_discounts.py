"""An early discount: promised by a run, granted by the payment that completes the invoice in time, and taken back."""

import asyncio
from decimal import Decimal
from typing import Any

import asyncpg
import httpx
import pytest

from tests.api import Api, Json, problem

EARLY = {"kind": "early_discount", "percent": "5", "days_before_due": 10}


async def bill(api: Api, student: Json, total: str = "1000.00", *, rule: Json = EARLY, **fields: Any) -> list[Json]:
    """Bill the student by a run, due on 2026-02-28, and return the invoices."""
    school = {"id": student["school_id"]}
    plan = await api.plan(school, ("tuition", total), rules=[rule])
    run = await api.preview(
        plan, **{"due_dates": ["2026-02-28"], "issued_at": "2026-01-10", "student_ids": [student["id"]]} | fields
    )
    await api.commit(run, all_or_nothing=True)
    made: list[Json] = await api.get(f"/invoices?billing_run_id={run['id']}&limit=500")
    return made


async def grants(api: Api, invoice: Json) -> list[tuple[str, str, bool]]:
    """Return the amount and the moment of each early discount of an invoice, and whether it is a reversal."""
    return [
        (one["amount"], one["adjusted_at"], one["reverses_id"] is not None)
        for one in await api.get(f"/invoices/{invoice['id']}/adjustments")
    ]


async def state(api: Api, invoice: Json) -> tuple[str, str, str]:
    now = await api.reload(invoice)
    return now["discounted_total"], now["balance_due"], now["status"]


async def test_what_completes_an_invoice_in_time_grants_what_the_run_promised(api: Api, psql: Any) -> None:
    """Auckland is at UTC+13 in February, so 18 February ends at 11:00 UTC."""
    school = await api.school(time_zone="Pacific/Auckland", currency="NZD")
    lisa, bart = await api.student(school), await api.student(school, full_name="Bart")
    plan = await api.plan(school, ("tuition", "1000.00"), rules=[EARLY])
    run = await api.preview(plan, due_dates=["2026-02-28"], issued_at="2026-01-10")
    # The plan changes between the preview and the commit; the run keeps its version.
    await api.client.patch(f"/fee-plans/{plan['id']}", json={"rules": []})
    await api.commit(run, all_or_nothing=True)
    [early] = await api.get(f"/students/{lisa['id']}/invoices")
    [late] = await api.get(f"/students/{bart['id']}/invoices")
    for invoice in (early, late):
        assert (invoice["early_discount"], invoice["early_until"]) == ("50.00", "2026-02-18T10:59:59.999999Z")
    page = await api.client.get(f"/invoices/{early['id']}.html", params={"lang": "en-US"})
    assert "NZ$50.00 less if paid by February 18, 2026" in page.text.replace("\N{NO-BREAK SPACE}", " ")
    # By two payments: the second leaves no more than the discount, in the last microsecond.
    await api.pay(early, "500.00", paid_at="2026-01-20T00:00:00Z")
    assert await state(api, early) == ("0.00", "500.00", "PARTIAL")
    completing = await api.pay(early, "450.00", paid_at="2026-02-18T10:59:59.999999Z")
    assert await state(api, early) == ("50.00", "0.00", "PAID")
    [grant] = await api.get(f"/invoices/{early['id']}/adjustments")
    assert (grant["kind"], grant["reason"]) == ("DISCOUNT", "Early-payment discount")
    assert (grant["amount"], grant["adjusted_at"]) == ("50.00", completing["paid_at"])
    of_grant = "select actor from audit_log where entity = 'adjustments' and entity_id = $1"
    of_payment = "select actor from audit_log where entity = 'payments' and entity_id = $1"
    assert await psql.fetchval(of_grant, grant["id"]) == await psql.fetchval(of_payment, completing["id"]) == "tester"
    problem(await api.client.post("/payments", json={"invoice_id": early["id"], "amount": "0.01"}), 409, "overpayment")
    # A microsecond later it is too late, and the first payment in time does not help.
    await api.pay(late, "500.00", paid_at="2026-01-20T00:00:00Z")
    await api.pay(late, "450.00", paid_at="2026-02-18T11:00:00Z")
    assert (await state(api, late), await grants(api, late)) == (("0.00", "50.00", "PARTIAL"), [])
    for day, balance in (("2026-02-17", "500.00"), ("2026-02-18", "0.00")):
        statement = await api.get(f"/students/{lisa['id']}/statement?as_of={day}")
        assert statement["totals"]["balance_due_total"] == balance
    roll = await api.get(f"/schools/{school['id']}/roll-forward?from=2026-02-01&to=2026-02-28")
    assert (roll["received"], roll["discounted"], roll["closing_balance"]) == ("900.00", "50.00", "50.00")
    collected = await api.get(f"/schools/{school['id']}/collections?from=2026-02-01&to=2026-02-28")
    assert collected["totals"]["paid"] == "900.00"  # A discount is no money.


async def test_a_payment_in_full_or_of_too_little_is_granted_none(api: Api) -> None:
    student = await api.student()
    full, short, more = [(await bill(api, student))[0] for _ in range(3)]
    await api.pay(full, "1000.00", paid_at="2026-02-01")
    await api.pay(short, "949.99", paid_at="2026-02-01")
    await api.pay(more, "960.00", paid_at="2026-02-01")
    assert [await state(api, one) for one in (full, short, more)] == [
        ("0.00", "0.00", "PAID"), ("0.00", "50.01", "PARTIAL"), ("40.00", "0.00", "PAID"),
    ]  # fmt: skip
    # A refund leaves less paid, but still enough: the discount becomes what is left.
    await api.refund(more, "10.00", paid_at="2026-03-05T00:00:00Z")
    assert await state(api, more) == ("50.00", "0.00", "PAID")
    at, then = "2026-02-01T00:00:00Z", "2026-03-05T00:00:00Z"
    assert await grants(api, more) == [("40.00", at, False), ("40.00", then, True), ("50.00", then, False)]
    await api.refund(more, "0.01", paid_at="2026-03-06T00:00:00Z")
    assert await state(api, more) == ("0.00", "50.01", "PARTIAL")


async def test_a_refund_of_another_writer_takes_the_discount_back_on_its_own_day(api: Api, psql: Any) -> None:
    [invoice] = await bill(api, await api.student())
    await api.pay(invoice, "960.00", paid_at="2026-02-01T00:00:00Z")
    async with psql.transaction(), psql.transaction():  # The inner one is a savepoint.
        await psql.execute(
            "insert into payments (school_id, invoice_id, kind, amount, paid_at) "
            "values ($1, $2, 'REFUND', 20, '2026-03-05Z')",
            invoice["school_id"],
            invoice["id"],
        )
    at, then = "2026-02-01T00:00:00Z", "2026-03-05T00:00:00Z"
    assert await grants(api, invoice) == [("40.00", at, False), ("40.00", then, True)]


async def test_a_receipt_gives_each_invoice_what_completes_it_and_goes_on(api: Api) -> None:
    school = await api.school()
    marge, student = await api.payer(school), await api.student(school)
    await api.set_payers(student, {marge["id"]: "100"})
    first, second, third = [(await bill(api, student, due_dates=[f"2026-02-{day}"]))[0] for day in (26, 27, 28)]
    body = {"amount": "2000.00", "received_at": "2026-02-05T00:00:00Z", "method": "cheque"}
    receipt = await api.receipt(marge, **body)
    assert [(one["invoice_id"], one["amount"]) for one in receipt["allocations"]] == [
        (first["id"], "950.00"), (second["id"], "950.00"), (third["id"], "100.00"),
    ]  # fmt: skip
    assert (receipt["allocated_total"], receipt["unallocated"]) == ("2000.00", "0.00")
    assert await api.get(f"/receipts/{receipt['id']}") == receipt
    assert [(await state(api, one))[:2] for one in (first, second, third)] == [
        ("50.00", "0.00"), ("50.00", "0.00"), ("0.00", "900.00"),
    ]  # fmt: skip
    # What comes late pays in full, and a list stays as the client says.
    late = await api.receipt(marge, "10.00", received_at="2026-02-19", allocate="none")
    path = f"/receipts/{late['id']}/allocations"
    listed = [{"invoice_id": third["id"], "amount": "10.00"}]
    assert (await api.client.post(path, json={"allocate": listed})).json()["unallocated"] == "0.00"
    rest = await api.receipt(marge, "1000.00")
    assert (rest["allocated_total"], rest["unallocated"]) == ("890.00", "110.00")
    # The receipt bounces: the debts are there again, without the discounts, from the day of the reversal on.
    bounced = {"reason": "Bounced", "reversed_at": "2026-03-02T00:00:00Z"}
    assert (await api.client.post(f"/receipts/{receipt['id']}/reverse", json=bounced)).status_code == 201
    for invoice in (first, second):
        assert await state(api, invoice) == ("0.00", "1000.00", "PENDING")
        assert await grants(api, invoice) == [
            ("50.00", "2026-02-05T00:00:00Z", False), ("50.00", "2026-03-02T00:00:00Z", True),
        ]  # fmt: skip
    for day, balance in (("2026-02-05", "900.00"), ("2026-03-02", "3000.00")):
        statement = await api.get(f"/payers/{marge['id']}/statement?as_of={day}")
        assert statement["totals"]["balance_due_total"] == balance
    # Money of before the reversal would pay after it, which is too late.
    again = await api.receipt(marge, "2000.00", received_at="2026-02-06T00:00:00Z")
    assert {one["amount"] for one in again["allocations"]} == {"1000.00"}


async def test_a_discount_goes_with_the_payment_that_earned_it_and_comes_back_with_the_next(api: Api) -> None:
    student, other = await api.student(), await api.student()
    deleted, moved, less, swapped, kept = [(await bill(api, student))[0] for _ in range(5)]
    [by_hand] = await bill(api, student, due_dates=["2099-02-28"])
    invoices = (deleted, moved, less, swapped, kept, by_hand)
    payments = [await api.pay(one, "950.00", paid_at="2026-02-02T00:00:00Z") for one in invoices]
    assert {await state(api, one) for one in invoices} == {("50.00", "0.00", "PAID")}
    target = (await bill(api, student))[0]
    foreign = (await bill(api, other))[0]
    paths = [f"/payments/{payment['id']}" for payment in payments]
    assert (await api.client.delete(paths[0])).status_code == 204
    for path, change in (
        (paths[1], {"paid_at": "2026-02-19T12:00:00Z"}),
        (paths[2], {"amount": "949.99"}),
        (paths[3], {"invoice_id": target["id"]}),
        (paths[4], {"paid_at": "2026-02-03T00:00:00Z", "reference": "kept"}),
    ):
        assert (await api.client.patch(path, json=change)).status_code == 200
    assert [(await state(api, one))[:2] for one in (*invoices, target, foreign)] == [
        ("0.00", "1000.00"), ("0.00", "50.00"), ("0.00", "50.01"), ("0.00", "1000.00"), ("50.00", "0.00"),
        ("50.00", "0.00"), ("50.00", "0.00"), ("0.00", "1000.00"),
    ]  # fmt: skip
    # The reversal is dated like the grant: at no moment was less owed.
    at = "2026-02-02T00:00:00Z"
    assert await grants(api, deleted) == [("50.00", at, False), ("50.00", at, True)]
    # A date in time, an amount that is enough, and another payment in time each grant it again.
    for path, change in ((paths[1], {"paid_at": "2026-02-10T00:00:00Z"}), (paths[2], {"amount": "950.00"})):
        assert (await api.client.patch(path, json=change)).status_code == 200
    await api.pay(deleted, "950.00", paid_at="2026-02-04T00:00:00Z")
    for invoice in (moved, less, deleted):
        assert (await state(api, invoice))[:2] == ("50.00", "0.00")
        assert [is_reversal for *_, is_reversal in await grants(api, invoice)] == [False, True, False]
    # A reversal by hand stays until money moves again.
    [grant] = await api.get(f"/invoices/{by_hand['id']}/adjustments")
    assert (await api.client.post(f"/adjustments/{grant['id']}/reverse", json={"reason": "x"})).status_code == 201
    assert (await state(api, by_hand))[:2] == ("0.00", "50.00")
    await api.pay(by_hand, "10.00")
    assert (await state(api, by_hand))[:2] == ("40.00", "0.00")


async def test_credit_notes_write_offs_and_a_void_meet_an_early_discount(api: Api) -> None:
    school = await api.school()
    marge, student = await api.payer(school), await api.student(school)
    await api.set_payers(student, {marge["id"]: "100"})
    released, credited, written_off, void = [(await bill(api, student))[0] for _ in range(4)]

    async def adjust(invoice: Json, what: str, **body: Any) -> httpx.Response:
        return await api.client.post(f"/invoices/{invoice['id']}/{what}", json={"reason": "x"} | body)

    paying = [{"invoice_id": released["id"], "amount": "950.00"}]
    await api.receipt(marge, "950.00", received_at="2026-02-02T00:00:00Z", allocate=paying)
    # Nothing is left to credit, but money of the receipt can be released, even late: the discount was earned in time.
    problem(await adjust(released, "credit-notes", amount="30.00"), 409, "over_adjustment")
    assert (await adjust(released, "credit-notes", amount="30.00", release=True)).status_code == 201
    now = await api.reload(released)
    assert [now[name] for name in ("credited_total", "discounted_total", "paid_total", "balance_due")] == [
        "30.00", "50.00", "920.00", "0.00",
    ]  # fmt: skip
    # What is credited before needs not be paid. If that is taken back later, the payer keeps the discount.
    note = (await adjust(credited, "credit-notes", amount="100.00", adjusted_at="2026-02-01")).json()
    await api.pay(credited, "850.00", paid_at="2026-02-02")
    assert (await state(api, credited))[:2] == ("50.00", "0.00")
    await api.client.post(f"/adjustments/{note['id']}/reverse", json={"reason": "x"})
    await api.pay(credited, "60.00")
    assert (await state(api, credited))[:2] == ("50.00", "40.00")
    # A refund on an invoice that is written off makes something owed again, and grants nothing.
    await api.pay(written_off, "600.00", paid_at="2026-02-02")
    assert (await adjust(written_off, "write-off")).status_code == 201
    await api.refund(written_off, "30.00")
    assert (await state(api, written_off))[:2] == ("0.00", "30.00")
    # As with any discount, a void waits for its reversal; here the refund reverses it.
    payment = await api.pay(void, "950.00", paid_at="2026-02-02")
    grant = (await api.get(f"/invoices/{void['id']}/adjustments"))[0]["id"]
    assert problem(await adjust(void, "void"), 409, "invoice_adjusted")["adjustment_id"] == grant
    await api.refund(void, payment["amount"])
    assert (await adjust(void, "void")).status_code == 200
    assert await state(api, void) == ("0.00", "0.00", "VOID")


async def test_a_discount_of_a_closed_month_is_taken_back_in_the_open_one(api: Api) -> None:
    school = await api.school()
    student = await api.student(school)
    invoice, moved = [(await bill(api, student))[0] for _ in range(2)]
    await api.pay(invoice, "950.00", paid_at="2026-01-20")
    payment = await api.pay(moved, "950.00", paid_at="2026-01-21")
    # The payment moves to February, the discount stays in January.
    assert (await api.client.patch(f"/payments/{payment['id']}", json={"paid_at": "2026-02-02"})).status_code == 200
    closing = await api.client.post(f"/schools/{school['id']}/closings", json={"through": "2026-01-31"})
    assert closing.status_code == 201, closing.text
    await api.refund(invoice, "950.00", paid_at="2026-02-10T00:00:00Z")
    assert [at for _, at, _ in await grants(api, invoice)] == ["2026-01-20T00:00:00Z", "2026-02-10T00:00:00Z"]
    assert (await api.client.delete(f"/payments/{payment['id']}")).status_code == 204
    (_, granted, _), (_, reversed_at, _) = await grants(api, moved)
    assert granted == "2026-01-21T00:00:00Z"
    assert reversed_at > "2026-02-10"
    assert await api.get(f"/schools/{school['id']}/statement?as_of=2026-01-31") is not None


async def test_amounts_of_a_rule_are_split_exactly_and_only_promised_where_they_can_be_kept(
    api: Api, psql: Any
) -> None:
    yen = await api.school(currency="JPY", time_zone="Asia/Tokyo")
    for school, total, promised, shares, expected in (
        (await api.school(), "100.00", "10.00", ("33.3333", "33.3333", "33.3334"), ["3.33", "3.33", "3.34"]),
        (yen, "1000", "100", ("33.3333", "33.3333", "33.3334"), ["33.00", "33.00", "34.00"]),
    ):
        student = await api.student(school)
        payers = [await api.payer(school) for _ in shares]
        await api.set_payers(student, {one["id"]: share for one, share in zip(payers, shares, strict=True)})
        rule = {"kind": "early_discount", "amount": promised, "days_before_due": 0}
        made = await bill(api, student, total, rule=rule, due_dates=["2026-02-28", "2026-03-31"])
        for day in ("2026-02-28", "2026-03-31"):
            parts = [one["early_discount"] for one in made if one["due_date"] == day]
            assert sorted(parts) == expected
            assert sum(map(Decimal, parts)) == Decimal(promised)
        percent = await bill(api, student, total, rule=EARLY | {"percent": "3.5"}, period="Again")
        assert all(
            Decimal(one["early_discount"])
            == round(Decimal(one["total_amount"]) * Decimal("0.035"), len(promised) // 4 * 2)
            for one in percent
        )
    # Less than the smallest coin, all of the invoice or more, or a day before the issue: nothing is promised.
    alone = await api.student(yen)
    for rule in (
        EARLY | {"percent": "0.01"},
        EARLY | {"percent": "100"},
        {"kind": "early_discount", "amount": "1000", "days_before_due": 1},
        EARLY | {"days_before_due": 50},
    ):
        [invoice] = await bill(api, alone, "1000", rule=rule)
        assert (invoice["early_discount"], invoice["early_until"]) == (None, None)
    # The day of the issue is a day.
    [invoice] = await bill(api, alone, "1000", rule=EARLY | {"days_before_due": 49})
    assert invoice["early_until"] == "2026-01-10T14:59:59.999999Z"
    await api.pay(invoice, "950", paid_at="2026-01-10")
    assert (await state(api, invoice))[:2] == ("50.00", "0.00")
    changes = {
        "early_discount = 5": "invoices_run_is_fixed",
        "early_until = now()": "invoices_run_is_fixed",
        "early_adjustment_id = null": "invoices_totals_follow_payments",
    }
    for change, constraint in changes.items():
        with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
            await psql.execute(f"update invoices set {change} where id = $1", invoice["id"])
        assert refused.value.constraint_name == constraint


async def test_of_twenty_payments_at_once_one_is_granted_the_discount(api: Api) -> None:
    [invoice] = await bill(api, await api.student())
    answers = await asyncio.gather(
        *(
            api.client.post(
                "/payments", json={"invoice_id": invoice["id"], "amount": "475.00", "paid_at": "2026-02-02"}
            )
            for _ in range(20)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [201, 201, *[409] * 18]
    assert await state(api, invoice) == ("50.00", "0.00", "PAID")
    assert [one[0] for one in await grants(api, invoice)] == ["50.00"]
