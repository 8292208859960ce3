"""The view account_entries: a later kind of entry is one more branch of it, and every statement tells of it."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from school_billing.platform.database.sql import AnyQuery
from school_billing.statements import repository as statements
from tests.api import Api

Connection = Any

CREDIT_NOTES = """
create table credit_notes (
  id uuid default gen_random_uuid(), school_id uuid, invoice_id uuid, amount numeric(12, 2),
  noted_at timestamptz
);
alter table invoices add column credited_total numeric(18, 2) not null default 0;
alter table invoices drop column balance_due;
alter table invoices add column balance_due numeric(18, 2) not null generated always as (
  case when voided_at is null then total_amount - credited_total - payments_total + refunds_total else 0 end
) stored
"""
BRANCH = """
union all
select
  credit_notes.school_id, student_id, invoice_id, credit_notes.id, issued_at,
  counts_from(noted_at, issued_at, voided_at), 2, 'CREDIT_NOTE', amount, -amount, null, null, null,
  payer_id, null
from credit_notes
join invoices on invoices.id = credit_notes.invoice_id and invoices.school_id = credit_notes.school_id
"""


@pytest.fixture
async def account(api: Api) -> tuple[UUID, UUID, UUID]:
    """An invoice of 100.00 of which 40.00 are paid: the ids of the school, the student and the invoice."""
    invoice = await api.invoice(total="100.00", issued_at="2026-01-05T12:00:00Z", due_date="2026-01-31")
    await api.pay(invoice, "40.00", paid_at="2026-01-10T12:00:00Z")
    return UUID(invoice["school_id"]), UUID(invoice["student_id"]), UUID(invoice["id"])


async def test_a_new_kind_of_entry_is_one_more_branch(psql: Connection, account: tuple[UUID, UUID, UUID]) -> None:
    school, student, invoice = account
    pages = {"tenant": None, "after": UUID(int=0), "limit": 10, "offset": 0}
    never = {"as_of": None, "as_of_date": None, "starts_on": None, "ends_on": None}

    async def rows(query: AnyQuery, **values: Any) -> list[Any]:
        takes = {name: value for name, value in (pages | never | values).items() if name in query.parameters}
        return list(await psql.fetch(query.text, *query.arguments(takes)))

    async def document(query: AnyQuery, **values: Any) -> Any:
        ((text, *_),) = await rows(query, **values)
        return json.loads(text)

    transaction = psql.transaction()
    await transaction.start()
    try:
        definition = await psql.fetchval("select pg_get_viewdef('account_entries'::regclass)")
        await psql.execute(CREDIT_NOTES)
        await psql.execute(f"create or replace view account_entries as {definition.rstrip(';')} {BRANCH}")
        await psql.execute(
            "insert into credit_notes (school_id, invoice_id, amount, noted_at) values ($1, $2, 25, $3)",
            *(school, invoice, datetime(2026, 1, 20, 12, tzinfo=UTC)),
        )
        await psql.execute("update invoices set credited_total = 25 where id = $1", invoice)

        then, later = date(2026, 1, 15), date(2026, 1, 31)
        of_student, of_school = {"student_id": student}, {"school_id": school}
        for now, past, whose in (
            (statements.STUDENT, statements.STUDENT_AS_OF, of_student),
            (statements.SCHOOL, statements.SCHOOL_AS_OF, of_school),
        ):
            for query, moment, balance in (
                (now, {}, "35.00"),  # 100 - 40 - 25
                (past, {"as_of_date": then}, "60.00"),  # 100 - 40
                (past, {"as_of_date": later}, "35.00"),
            ):
                found = await document(query, **whose, **moment)
                assert found["totals"]["balance_due_total"] == found["invoices"][0]["balance_due"] == balance
                assert sum(Decimal(amount) for amount in found["ageing"].values()) == Decimal(balance)
            period = await document(past, **whose, starts_on=date(2026, 1, 16), ends_on=later)
            assert (period["opening_balance"], period["closing_balance"]) == ("60.00", "35.00")

        period = await document(statements.STUDENT_AS_OF, **of_student, starts_on=then, ends_on=later)
        assert [(entry["kind"], entry["amount"], entry["balance"]) for entry in period["entries"]] == [
            ("CREDIT_NOTE", "25.00", "35.00")
        ]
        (line,) = await rows(statements.SCHOOL_LINES, **of_school)
        assert line["balance_due"] == "35.00"
        for day, balance in ((then, "60.00"), (later, "35.00")):
            (line,) = await rows(statements.SCHOOL_LINES_AS_OF, **of_school, as_of_date=day)
            assert line["balance_due"] == balance
        limits = {"by": "student", "min_overdue_days": 0, "min_balance": Decimal(0)}
        first = {"after_due_date": date.min, "after_balance": Decimal(10**10), "after_id": UUID(int=0)}
        (debtor,) = await document(statements.DEBTORS, **of_school, **limits, **first)
        assert (debtor["balance_due"], debtor["ageing"]["days_over_90"]) == ("35.00", "35.00")
        # No money moved, so the cash book tells what it told before.
        month = {"starts_on": date(2026, 1, 1), "ends_on": later, "step": "month", "most": 10}
        collected = await document(statements.COLLECTIONS, **of_school, **month)
        assert (collected["totals"]["invoiced"], collected["totals"]["net"]) == ("100.00", "40.00")
    finally:
        await transaction.rollback()
