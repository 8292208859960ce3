"""A late fee is charged on what stays overdue, once for each rule, invoice and tier."""

from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from tests.api import NOBODY, Api, Json, problem, wrong_fields

DUE = "2026-02-01"
WEEKLY = {"kind": "late_fee", "amount": "5.00", "after_days": 7, "maximum_times": 3}


async def billed(api: Api, *students: Json, rules: Any = (WEEKLY,), amount: str = "100.00", **fields: Any) -> Json:
    """Return a plan that billed the students of a school, due on DUE."""
    plan = await api.plan({"id": students[0]["school_id"]}, ("tuition", amount), rules=rules)
    fields = {"due_dates": [DUE], "issued_at": "2026-01-01"} | fields
    await api.commit(await api.preview(plan, student_ids=[one["id"] for one in students], **fields))
    return plan


async def invoices_of(api: Api, student: Json, query: str = "") -> list[Json]:
    listed: list[Json] = await api.get(f"/students/{student['id']}/invoices?limit=500{query}")
    return listed


def fees_of(row: Json) -> list[tuple[str, str, int, int]]:
    return [(line["amount"], line["base"], line["after_days"], line["tier"]) for line in row["lines"]]


async def test_a_late_fee_is_an_invoice_of_its_own_that_names_the_late_one(api: Api) -> None:
    school = await api.school(invoice_prefix="LATE", currency="EUR", time_zone="Europe/Madrid")
    lisa, other = await api.student(school), await api.student(await api.school())
    marge = await api.payer(school)
    await api.set_payers(lisa, {marge["id"]: "100"})
    rule = {"kind": "late_fee", "percent": "1.5", "after_days": 7, "description": "Reminder"}
    plan, foreign = await billed(api, lisa, rules=[rule]), await billed(api, other, rules=[rule])
    (late,) = await invoices_of(api, lisa)
    await api.pay(late, "33.00")
    run = await api.late_fees(plan, "2026-02-10", due_date="2026-02-20")
    assert [run[name] for name in ("kind", "status", "period", "due_dates", "plan_version", "counts")] == [
        "LATE_FEES", "PREVIEW", "2026-02-10", ["2026-02-20"], 1, {"will_create": 1},
    ]  # fmt: skip
    assert run["totals"] == [{"category": "late_fee", "amount": "1.01"}]  # 1.5 % of 67.00 is 1.005.
    assert (run["total_amount"], run["invoices_count"]) == ("1.01", 1)
    ((student_id, row),) = (await api.rows(run)).items()
    assert (student_id, row["sibling_rank"], row["discounts_total"]) == (lisa["id"], 1, "0.00")
    assert row["lines"] == [
        {
            "description": "Reminder", "category": "late_fee", "amount": "1.01", "base": "67.00", "percent": "1.5000",
            "late_invoice_id": late["id"], "after_days": 7, "tier": 1,
        }
    ]  # fmt: skip
    assert row["invoices"] == [
        {
            "payer_id": marge["id"], "share": "100.0000", "instalment": 1, "due_date": "2026-02-20", "amount": "1.01",
            "late_invoice_id": late["id"],
        }
    ]  # fmt: skip
    with capture_logs() as logs:
        committed = await api.commit(run)
    begun, done = [line for line in logs if line["event"].startswith("billing_run_commit")]
    assert (begun["event"], begun["students"], begun["invoices"]) == ("billing_run_committing", {"will_create": 1}, 1)
    assert (done["event"], done["students"], done["kind"]) == ("billing_run_committed", {"created": 1}, "LATE_FEES")
    assert (committed["counts"], committed["totals"]) == ({"created": 1}, run["totals"])
    assert await api.commit(run) == committed
    (listed,) = await invoices_of(api, lisa, f"&late_invoice_id={late['id']}")
    fee = await api.reload(listed)
    assert (fee["description"], fee["number"][-6:]) == (f"Reminder for {late['number']} due 2026-02-01", "000002")
    assert (fee["payer_id"], fee["total_amount"], fee["due_date"]) == (marge["id"], "1.01", "2026-02-20")
    assert fee["issued_at"] == "2026-02-09T23:00:00Z"
    assert fee["lines"] == [{"position": 1, "description": "Reminder", "category": "late_fee", "amount": "1.01"}]
    assert (fee["late_invoice_id"], (await api.reload(late))["late_invoice_id"]) == (late["id"], None)
    # Months later, the late fee is overdue itself, and has none. The plan bills the period of that name as any other.
    assert (await api.late_fees(plan, "2026-09-01"))["counts"] == {"already_billed": 1}
    assert (await api.preview(plan, "2026-02-10"))["counts"] == {"will_create": 1}
    assert await api.get(f"/billing-runs?school_id={school['id']}&kind=LATE_FEES&limit=1") == [committed]
    assert len(await api.get(f"/billing-runs?school_id={school['id']}&kind=FEES")) == 2
    table = (await api.client.get(f"/billing-runs/{run['id']}/rows.csv")).text.splitlines()
    assert table[1] == f"{lisa['id']},Lisa Simpson,,,created,,1,1.01,0.00,1.01,EUR"
    # The other school has charged nothing, until it does.
    assert len(await invoices_of(api, other)) == 1
    assert (await api.late_fees(foreign, "2026-02-10"))["counts"] == {"will_create": 1}


async def test_each_tier_of_each_rule_is_charged_once_as_the_days_pass(api: Api) -> None:
    student = await api.student()
    monthly = {"kind": "late_fee", "percent": "1", "minimum": "2.50", "after_days": 28, "description": "Interest"}
    plan = await billed(api, student, rules=[WEEKLY, monthly])
    (late,) = await invoices_of(api, student)

    async def charge(day: str) -> tuple[str, str | None, list[tuple[str, str, int, int]]]:
        run = await api.late_fees(plan, day)
        (row,) = (await api.rows(run)).values()
        await api.commit(run, all_or_nothing=True)
        return row["verdict"], row["reason"], fees_of(row)

    assert (await api.late_fees(plan, DUE))["counts"] == {}  # It is not overdue on its last day.
    assert await charge("2026-02-07") == ("skipped", "not_late_enough", [])
    assert await charge("2026-02-08") == ("will_create", None, [("5.00", "100.00", 7, 1)])
    assert await charge("2026-02-14") == ("already_billed", None, [])
    # Nobody looked for three weeks: all that is due is charged, the weekly fee three times at the most.
    both = [("5.00", "100.00", 7, 2), ("5.00", "100.00", 7, 3), ("2.50", "100.00", 28, 1)]
    assert await charge("2026-03-08") == ("will_create", None, both)
    assert await charge("2026-09-01") == ("already_billed", None, [])
    # A new version of the plan knows the rule by its days. What is new in it is charged.
    rules = [WEEKLY | {"amount": "9.00", "maximum_times": 4}, monthly | {"minimum": "9.00"}]
    await api.client.patch(f"/fee-plans/{plan['id']}", json={"rules": rules})
    assert await charge("2026-09-02") == ("will_create", None, [("9.00", "100.00", 7, 4)])
    # A late fee that is credited stays charged. One that is void is charged again, as the plan now says.
    fees = await invoices_of(api, student, f"&late_invoice_id={late['id']}")
    assert [one["total_amount"] for one in fees] == ["5.00", "5.00", "5.00", "2.50", "9.00"]
    await api.client.post(f"/invoices/{fees[0]['id']}/credit-notes", json={"amount": "5.00", "reason": "Waived"})
    assert await charge("2026-09-03") == ("already_billed", None, [])
    await api.client.post(f"/invoices/{fees[3]['id']}/void", json={"reason": "Wrong"})
    assert await charge("2026-09-03") == ("will_create", None, [("9.00", "100.00", 28, 1)])
    # The late invoice stays as long as it has late fees.
    refused = await api.client.delete(f"/invoices/{late['id']}")
    assert "late fees" in problem(refused, 409, "in_use")["detail"]


async def test_money_paid_in_advance_counts_first_for_what_was_due_first(api: Api) -> None:
    school = await api.school()
    lisa, bart, nobody = [await api.student(school, full_name=name) for name in ("Lisa", "Bart", "Nobody")]
    marge, homer = await api.payer(school), await api.payer(school, name="Homer")
    await api.set_payers(lisa, {marge["id"]: "60", homer["id"]: "40"})
    await api.set_payers(bart, {marge["id"]: "100"})
    rule = {"kind": "late_fee", "percent": "10", "after_days": 1}
    plan = await billed(api, lisa, bart, nobody, rules=[rule], due_dates=[DUE, "2026-03-01"])
    # An older invoice without a plan takes Marge's money first. One that is not overdue takes none.
    await api.invoice(bart, "20.00", issued_at="2026-01-01", due_date="2026-01-31")
    await api.invoice(bart, "500.00", issued_at="2026-01-01", due_date="2026-12-31")
    receipt = await api.receipt(marge, "65.00", allocate="none")
    run = await api.late_fees(plan, "2026-03-15")
    rows = await api.rows(run)
    # 65.00 - 20.00 is 45.00, for 30.00 and 50.00 due on the first day: whichever was made first. In all, 115.00 of the
    # 160.00 of hers stay. Homer owes 20.00 twice, and nobody's two 50.00 have no credit.
    bases: dict[str | None, list[str]] = {}
    for row in rows.values():
        for line, invoice in zip(row["lines"], row["invoices"], strict=True):
            bases.setdefault(invoice["payer_id"], []).append(line["base"])
    assert sum(float(base) for base in bases[marge["id"]]) == 160 - 45
    assert (bases[homer["id"]], bases[None]) == (["20.00"] * 2, ["50.00"] * 2)
    assert rows[nobody["id"]]["total_amount"] == "10.00"
    # Allocated in fact, the same stays overdue.
    await api.client.post(f"/receipts/{receipt['id']}/allocations", json={})
    again = await api.late_fees(plan, "2026-03-15")
    assert {one: fees_of(row) for one, row in (await api.rows(again)).items()} == {
        one: fees_of(row) for one, row in rows.items()
    }
    # What is covered is charged nothing, and the money of another school's payer covers nothing.
    await api.receipt(marge, "1000.00", allocate="none")
    await api.receipt(await api.payer(), "1000.00", allocate="none")
    bart_now = (await api.rows(await api.late_fees(plan, "2026-03-15")))[bart["id"]]
    assert (bart_now["verdict"], bart_now["reason"]) == ("skipped", "covered_by_credit")
    assert (bart_now["lines"], bart_now["invoices"], bart_now["total_amount"]) == ([], [], "0.00")
    # So both previews are not what they were. Who has not changed is charged.
    refused = await api.client.post(f"/billing-runs/{run['id']}/commit", json={"all_or_nothing": True})
    problem(refused, 412, "students_changed")
    assert (await api.commit(again))["counts"] == {"changed": 2, "created": 1}
    assert [one["total_amount"] for one in await invoices_of(api, nobody)] == ["50.00", "50.00", "5.00", "5.00"]


async def test_a_currency_without_cents_and_a_fee_of_nothing(api: Api) -> None:
    school = await api.school(currency="JPY", time_zone="Asia/Tokyo")
    student = await api.student(school)
    rules = [{"kind": "late_fee", "percent": percent, "after_days": days} for percent, days in (("0.5", 7), ("0.4", 8))]
    plan = await billed(api, student, rules=rules, amount="101.00")
    assert fees_of((await api.rows(await api.late_fees(plan, "2026-02-28")))[student["id"]]) == [
        ("1.00", "101.00", 7, 1)  # 0.505, and 0.404 is nothing.
    ]
    await api.commit(await api.late_fees(plan, "2026-02-28"))
    row = (await api.rows(await api.late_fees(plan, "2026-02-28")))[student["id"]]
    assert (row["verdict"], row["reason"]) == ("skipped", "nothing_to_bill")


async def test_only_the_students_of_the_group_or_list_are_charged_also_those_who_left(api: Api) -> None:
    school = await api.school()
    lisa, bart = (
        await api.student(school, group_name="2A"),
        await api.student(school, full_name="Bart", group_name="4B"),
    )
    plan = await billed(api, lisa, bart)
    await api.client.patch(f"/students/{bart['id']}", json={"left_on": "2026-01-31"})
    # A long description is cut, and the cut does not end with the joiner.
    (late,) = await invoices_of(api, lisa)
    name = f"क\n{'क' * 469}\u200d{'क' * 28}"
    changed = await api.client.patch(f"/invoices/{late['id']}", json={"description": name})
    assert changed.status_code == 200, changed.text
    assert set(await api.rows(await api.late_fees(plan, "2026-02-08", student_ids=[lisa["id"]]))) == {lisa["id"]}
    left = await api.late_fees(plan, "2026-02-08", group="4B")
    assert set(await api.rows(left)) == {bart["id"]}
    await api.commit(left)
    both = await api.late_fees(plan, "2026-02-08")
    assert both["counts"] == {"already_billed": 1, "will_create": 1}
    assert (await api.commit(both))["counts"] == {"already_billed": 1, "created": 1}
    fees = [(await invoices_of(api, one))[-1]["description"] for one in (lisa, bart)]
    assert fees[1] == "Late fee for Term, T1 due 2026-02-01"
    assert fees[0] == f"Late fee for क {'क' * 469} due 2026-02-01"
    assert len(fees[0]) == 499  # At most 500, and one less without the joiner.


async def test_a_run_of_late_fees_that_makes_no_sense_is_refused_with_its_field(api: Api) -> None:
    school, other = await api.school(), await api.school()
    student, stranger = await api.student(school), await api.student(other, group_name="9Z")
    plan, foreign = await billed(api, student), await billed(api, stranger)
    without = await billed(api, student, rules=[])
    path = f"/schools/{school['id']}/late-fee-runs"
    body = {"plan_id": plan["id"], "due_date": "2026-03-01", "issued_at": "2026-02-10"}
    for change, fields in (
        ({"due_date": "2026-02-09"}, ["due_date"]),
        ({"due_date": "2026-02-30"}, ["due_date"]),
        ({"plan_id": without["id"]}, ["plan_id"]),
        ({"group": "9Z"}, ["group"]),
        ({"student_ids": [stranger["id"]]}, ["student_ids[0]"]),
        ({"student_ids": [student["id"]], "group": "1A"}, ["student_ids"]),
        ({"period": "T1"}, ["period"]),
    ):
        assert wrong_fields(await api.client.post(path, json=body | change)) == fields, change
    refused = problem(await api.client.post(path, json=body | {"plan_id": without["id"]}), 422)
    assert refused["errors"][0]["message"] == "must be a fee plan that has a rule of the kind late_fee"
    for plan_id in (foreign["id"], NOBODY):
        problem(await api.client.post(path, json=body | {"plan_id": plan_id}), 404, "fee_plan_not_found")
    key = {"Idempotency-Key": f"late-{school['id']}"}
    made, replayed = [await api.client.post(path, json=body, headers=key) for _ in range(2)]
    assert (replayed.json(), replayed.headers["idempotency-replayed"]) == (made.json(), "true")
    run, tagged = made.headers["location"], {"If-Match": made.headers["etag"]}
    problem(await api.client.post(f"{run}/commit", json={}, headers={"If-Match": '"1"'}), 412)
    # In a closed month nothing is charged.
    await api.client.post(f"/schools/{school['id']}/closings", json={"through": "2026-02-28"})
    closed = await api.client.post(f"{run}/commit", json={}, headers=tagged)
    problem(closed, 409, "period_closed")
    abandoned = await api.client.post(f"{run}/abandon", headers=tagged)
    assert abandoned.json()["status"] == "ABANDONED"


async def test_a_reverted_run_of_late_fees_can_be_charged_again(api: Api) -> None:
    lisa = await api.student()
    plan = await billed(api, lisa)
    run = await api.late_fees(plan, "2026-02-15")
    await api.commit(run)
    (_, first, _) = await invoices_of(api, lisa)
    await api.pay(first, "1.00")
    reverted = (await api.client.post(f"/billing-runs/{run['id']}/revert", json={"reason": "Storm"})).json()
    assert (reverted["kind"], reverted["voided_count"], reverted["kept_count"]) == ("LATE_FEES", 1, 1)
    again = await api.late_fees(plan, "2026-02-15")
    (row,) = (await api.rows(again)).values()
    assert fees_of(row) == [("5.00", "100.00", 7, 2)]
    # A payment in between changes what is overdue.
    await api.pay((await invoices_of(api, lisa))[0], "100.00")
    assert (await api.commit(again))["counts"] == {"changed": 1}


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("update invoices set late_after_days = 8 where late_invoice_id is not null", "invoices_run_is_fixed"),
        ("update billing_runs set kind = 'FEES' where kind = 'LATE_FEES'", "billing_runs_are_fixed"),
        (
            "insert into invoices (school_id, student_id, total_amount, due_date, late_invoice_id, late_after_days)"
            " select school_id, student_id, 1, due_date, id, 7 from invoices where late_invoice_id is null",
            "invoices_late_fees_are_whole",
        ),
    ],
)
async def test_the_database_keeps_what_is_late(api: Api, database_url: str, change: str, constraint: str) -> None:
    student = await api.student()
    plan = await billed(api, student)
    await api.commit(await api.late_fees(plan, "2026-02-08"))
    with psycopg.connect(database_url) as psql, pytest.raises(psycopg.errors.IntegrityError) as refused:
        psql.execute(f"{change} and school_id = '{plan['school_id']}'")
    assert refused.value.diag.constraint_name == constraint
