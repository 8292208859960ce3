from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import asyncpg
import httpx
import psycopg
import pytest

from school_billing.app import create_app
from school_billing.platform.settings import Settings
from school_billing.platform.web.json_body import decode
from school_billing.statements.contracts import SchoolStatement
from tests.api import NOBODY, Api, client_of, problem
from tests.conftest import running

TOTALS = ("invoiced_total", "payments_total", "refunds_total", "paid_total", "balance_due_total", "overdue_total")


async def test_the_statement_adds_up_the_students(api: Api) -> None:
    school = await api.school()
    lisa, bart = await api.student(school, full_name="Lisa"), await api.student(school, full_name="Bart")
    await api.student(school, full_name="Maggie")
    await api.pay(await api.invoice(lisa, "1000.00"), "1000.00")
    invoice = await api.invoice(bart, "800.00")
    await api.pay(invoice, "300.00")
    await api.refund(invoice, "50.00")
    await api.invoice(None, "7.00")  # another school's
    statement = await api.get(f"/schools/{school['id']}/statement")
    assert statement["students_count"] == 3
    assert [statement["totals"][name] for name in TOTALS] == [
        "1800.00", "1300.00", "50.00", "1250.00", "550.00", "550.00",
    ]  # fmt: skip
    names = [student["full_name"] for student in statement["students"]]
    assert names == ["Bart", "Lisa", "Maggie"]
    assert [student["balance_due_total"] for student in statement["students"]] == ["550.00", "0.00", "0.00"]
    assert [student["invoices_count"] for student in statement["students"]] == [1, 1, 0]
    for name in TOTALS:
        of_students = sum(Decimal(student[name]) for student in statement["students"])
        assert of_students == Decimal(statement["totals"][name])
    assert len(statement["invoices"]) == 2


async def test_a_school_without_students_is_owed_nothing(api: Api) -> None:
    school = await api.school()
    statement = await api.get(f"/schools/{school['id']}/statement")
    assert (statement["students_count"], statement["students"], statement["invoices"]) == (0, [], [])
    assert {statement["totals"][name] for name in TOTALS} == {"0.00"}


async def test_the_page_of_invoices_does_not_touch_the_totals(api: Api) -> None:
    student = await api.student()
    invoices = [(await api.invoice(student, "10.00"))["id"] for _ in range(5)]
    path: str | None = f"/schools/{student['school_id']}/statement?limit=2"
    seen = []
    while path:
        response = await api.client.get(path)
        statement = response.json()
        assert statement["totals"]["invoiced_total"] == "50.00"
        assert statement["students_count"] == 1
        seen.append([line["id"] for line in statement["invoices"]])
        path = response.links.get("next", {}).get("url")
    assert seen == [invoices[:2], invoices[2:4], invoices[4:]]
    skipped = await api.get(f"/schools/{student['school_id']}/statement?limit=2&offset=3")
    assert [line["id"] for line in skipped["invoices"]] == invoices[3:]


async def test_a_school_that_does_not_exist_is_404(client: httpx.AsyncClient) -> None:
    problem(await client.get(f"/schools/{NOBODY}/statement"), 404, "school_not_found")


LOAD = """
with school as (
  insert into schools (name) values ('Large') returning id
), pupils as (
  insert into students (school_id, full_name)
  select school.id, 'Student ' || number from school cross join generate_series(1, 5000) as number
  returning id, school_id
), bills as (
  insert into invoices (school_id, student_id, total_amount, due_date, issued_at, voided_at, void_reason)
  select
    school_id, id, 100 + number + 0.01 * (random() * 99)::int, date '2025-01-15' + number * 61, '2025-01-01Z',
    case when is_void then timestamptz '2025-02-01Z' end, case when is_void then 'Entered twice' end
  from pupils
  cross join generate_series(1, 12) as number
  cross join lateral (select number = 12 and random() < 0.1) as fate (is_void)
)
select id as school_id from school
"""


@pytest.fixture(scope="module")
async def large_school(new_database: Callable[..., str]) -> tuple[str, str]:
    """A database with a school of 5,000 students and 60,000 invoices; its URL and the school's id."""
    url = new_database()
    async with await psycopg.AsyncConnection.connect(url) as connection:
        # The triggers of each row would take most of the time; the sums below are the check here.
        await connection.execute("set session_replication_role = replica")
        cursor = await connection.execute(LOAD)
        row = await cursor.fetchone()
        assert row is not None
        await connection.execute(
            """
            insert into payments (school_id, invoice_id, amount, paid_at)
            select school_id, id, 60 + 0.01 * (random() * 99)::int, '2025-03-01Z'
            from invoices where voided_at is null and random() < 0.75
            """
        )
        await connection.execute(
            """
            insert into payments (school_id, invoice_id, kind, amount, paid_at)
            select school_id, invoice_id, 'REFUND', round(amount / 3, 2), '2025-04-01Z'
            from payments where random() < 0.5
            """
        )
        await connection.execute(
            """
            update invoices
            set payments_total = sums.payments, refunds_total = sums.refunds
            from (
              select
                invoice_id,
                sum(amount) filter (where kind = 'PAYMENT') as payments,
                coalesce(sum(amount) filter (where kind = 'REFUND'), 0) as refunds
              from payments group by invoice_id
            ) as sums
            where sums.invoice_id = invoices.id
            """
        )
        return url, str(row[0])


async def test_sixty_thousand_invoices_add_up_to_the_cent(large_school: tuple[str, str]) -> None:
    url, school_id = large_school
    service = create_app(Settings(database_url=url))
    async with running(service), client_of(service) as client:
        response = await client.get(f"/schools/{school_id}/statement?limit=500")
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        summed = (await client.get(f"/schools/{school_id}/statement?limit=500&as_of={now}")).json()
    assert summed.pop("as_of") == now
    assert summed == response.json()
    statement = decode(response.content, SchoolStatement)

    # The independent sum: from the payments, one by one, in Python.
    connection = await asyncpg.connect(url)
    try:
        invoices = await connection.fetch("select id, student_id, total_amount, due_date, voided_at from invoices")
        rows = await connection.fetch("select invoice_id, kind, amount from payments")
        today = await connection.fetchval("select (now() at time zone 'UTC')::date")
    finally:
        await connection.close()
    assert (len(invoices), len({invoice["student_id"] for invoice in invoices})) == (60_000, 5_000)
    paid: dict[object, Decimal] = {}
    refunded: dict[object, Decimal] = {}
    for payment in rows:
        sums = paid if payment["kind"] == "PAYMENT" else refunded
        sums[payment["invoice_id"]] = sums.get(payment["invoice_id"], Decimal(0)) + payment["amount"]
    expected = dict.fromkeys(TOTALS, Decimal(0))
    debts: dict[object, Decimal] = {}
    for invoice in invoices:
        if invoice["voided_at"] is not None:
            continue
        payments = paid.get(invoice["id"], Decimal(0))
        refunds = refunded.get(invoice["id"], Decimal(0))
        balance = invoice["total_amount"] - payments + refunds
        expected["invoiced_total"] += invoice["total_amount"]
        expected["payments_total"] += payments
        expected["refunds_total"] += refunds
        expected["paid_total"] += payments - refunds
        expected["balance_due_total"] += balance
        expected["overdue_total"] += balance if invoice["due_date"] < today else 0
        debts[invoice["student_id"]] = debts.get(invoice["student_id"], Decimal(0)) + balance
    assert {name: getattr(statement.totals, name) for name in TOTALS} == expected
    assert statement.students_count == len(statement.students) == 5_000
    assert {student.student_id: student.balance_due_total for student in statement.students} == debts
    assert len(statement.invoices) == 500
    assert 'rel="next"' in response.headers["link"]
