"""What the triggers do on a part of a table: a partition, or a shard on a cluster, named like invoices_102244."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tests.api import Api

Connection = Any


@pytest.fixture
async def undone(psql: Connection) -> AsyncIterator[Connection]:
    """A connection in a transaction that leaves nothing behind."""
    transaction = psql.transaction()
    await transaction.start()
    yield psql
    await transaction.rollback()


@pytest.mark.parametrize(("whole", "column"), [("schools", "id"), ("students", "school_id")])
async def test_the_audit_trail_names_the_whole_table_and_the_school(
    undone: Connection, api: Api, whole: str, column: str
) -> None:
    student = await api.student()
    await undone.execute(f"create table {whole}_102244 (like {whole} including all)")
    await undone.execute(
        f"create trigger watched after insert on {whole}_102244 for each row execute function append_to_audit_log()"
    )
    row = await undone.fetchrow(
        f"insert into {whole}_102244 select * from {whole} where {column} = $1 returning id, {column} as school_id",
        UUID(student["school_id"]),
    )
    entry = await undone.fetchrow("select entity, entity_id, school_id from audit_log order by id desc limit 1")
    assert tuple(entry) == (whole, row["id"], row["school_id"])


async def test_the_payments_of_a_part_move_the_totals_of_their_invoices(undone: Connection, api: Api) -> None:
    invoice = await api.invoice(total="100.00")
    ids = UUID(invoice["school_id"]), UUID(invoice["id"])
    await undone.execute("create table payments_102244 (like payments including all) inherits (payments)")
    await undone.execute(
        "create trigger moved after insert or delete on payments_102244 "
        "for each row execute function move_invoice_totals()"
    )
    await undone.execute("insert into payments_102244 (school_id, invoice_id, amount) values ($1, $2, 60)", *ids)
    assert await undone.fetchval("select balance_due from invoices where id = $1", ids[1]) == 40
    with pytest.raises(asyncpg.CheckViolationError, match="invoices_paid_at_most_total"):
        await undone.execute("insert into payments_102244 (school_id, invoice_id, amount) values ($1, $2, 41)", *ids)
