"""Ageing: what is owed, by how many days it is past due on the day of the school."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from tests.api import Api

EDGES = {
    # days past due: the amount that says which
    -1: "0.01", 0: "0.10", 1: "1.00", 30: "10.00", 31: "100.00", 60: "1000.00", 61: "10000.00", 90: "100000.00",
    91: "1000000.00", 3650: "10000000.00",
}  # fmt: skip
AGED = {
    "current": "0.11",
    "days_1_30": "11.00",
    "days_31_60": "1100.00",
    "days_61_90": "110000.00",
    "days_over_90": "11000000.00",
}


async def test_every_balance_lies_in_one_bucket(api: Api) -> None:
    # Two students and another school, on the totals that are kept and as of a moment.
    today = datetime.now(ZoneInfo("UTC")).date()
    lisa = await api.student(await api.school())
    for days, amount in EDGES.items():
        await api.invoice(lisa, amount, due_date=str(today - timedelta(days=days)))
    bart = await api.student({"id": lisa["school_id"]}, full_name="Bart")
    await api.invoice(bart, "5.00", due_date=str(today - timedelta(days=45)))
    await api.pay(await api.invoice(bart, "7.00", due_date="2000-01-01"), "7.00")
    await api.invoice(None, "3.00")
    for query in ("", f"?as_of={today}", f"?from=2000-01-01&to={today}"):
        of_student = await api.get(f"/students/{lisa['id']}/statement{query}")
        assert of_student["ageing"] == AGED
        assert of_student["oldest_due_date"] == str(today - timedelta(days=3650))
        of_school = await api.get(f"/schools/{lisa['school_id']}/statement{query}")
        assert of_school["ageing"] == AGED | {"days_31_60": "1105.00"}
        assert of_school["oldest_due_date"] == of_student["oldest_due_date"]
        rows = {row["full_name"]: row for row in of_school["students"]}
        assert rows["Lisa Simpson"]["ageing"] == AGED
        assert rows["Bart"]["ageing"] == dict.fromkeys(AGED, "0.00") | {"days_31_60": "5.00"}
        # What is paid is not the oldest that is unpaid.
        assert rows["Bart"]["oldest_due_date"] == str(today - timedelta(days=45))
        for statement in (of_student, of_school, *rows.values()):
            buckets = {name: Decimal(amount) for name, amount in statement["ageing"].items()}
            totals = statement.get("totals", statement)
            assert sum(buckets.values()) == Decimal(totals["balance_due_total"])
            assert sum(buckets.values()) - buckets["current"] == Decimal(totals["overdue_total"])
    debtors = await api.get(f"/schools/{lisa['school_id']}/debtors")
    assert [debtor["ageing"] for debtor in debtors] == [rows["Lisa Simpson"]["ageing"], rows["Bart"]["ageing"]]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles", "Asia/Kolkata"])
@pytest.mark.parametrize("due", ["2026-03-07", "2026-03-08", "2026-10-31", "2026-11-01"])  # the clock of one changes
async def test_an_invoice_is_current_until_the_schools_midnight(api: Api, zone: str, due: str) -> None:
    student = await api.student(await api.school(time_zone=zone))
    await api.invoice(student, "10.00", due_date=due, issued_at="2026-01-01T00:00:00Z")
    midnight = datetime.combine(date.fromisoformat(due) + timedelta(days=1), datetime.min.time(), ZoneInfo(zone))
    for moment, bucket, overdue in (
        (midnight.astimezone(ZoneInfo("UTC")) - timedelta(microseconds=1), "current", "0.00"),
        (midnight.astimezone(ZoneInfo("UTC")), "days_1_30", "10.00"),
    ):
        as_of = moment.isoformat().replace("+00:00", "Z")
        for path in (f"/students/{student['id']}", f"/schools/{student['school_id']}"):
            statement = await api.get(f"{path}/statement?as_of={as_of}")
            assert statement["ageing"][bucket] == "10.00"
            assert statement["totals"]["overdue_total"] == overdue
            assert statement["oldest_due_date"] == due


async def test_a_balance_was_as_old_then_as_it_was_then(api: Api) -> None:
    invoice = await api.invoice(total="10.00", due_date="2026-01-31", issued_at="2026-01-01T00:00:00Z")
    await api.pay(invoice, "10.00", paid_at="2026-06-01T00:00:00Z")
    path = f"/students/{invoice['student_id']}/statement"
    now = await api.get(path)
    assert (set(now["ageing"].values()), now["oldest_due_date"]) == ({"0.00"}, None)
    for day, bucket in (
        ("2026-01-31", "current"), ("2026-02-01", "days_1_30"), ("2026-03-02", "days_1_30"),
        ("2026-03-03", "days_31_60"),
        ("2026-04-01", "days_31_60"), ("2026-04-02", "days_61_90"), ("2026-05-01", "days_61_90"),
        ("2026-05-02", "days_over_90"),
    ):  # fmt: skip
        aged = (await api.get(f"{path}?as_of={day}"))["ageing"]
        assert [name for name, amount in aged.items() if amount == "10.00"] == [bucket]
