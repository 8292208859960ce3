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


async def test_the_totals_of_an_invoice_are_compared_by_its_own_id(undone: Connection, api: Api) -> None:
    invoice = await api.invoice(total="100.00")
    await undone.execute("create table invoices_102244 (like invoices including all)")
    await undone.execute(
        "create constraint trigger compared after insert or update on invoices_102244 deferrable initially deferred "
        "for each row execute function invoice_totals_match_movements()"
    )
    await undone.execute(
        "insert into invoices_102244 (id, school_id, student_id, total_amount, due_date) values ($1, $2, $3, 1, now())",
        *(UUID(invoice[name]) for name in ("id", "school_id", "student_id")),
    )
    await undone.execute("set constraints all immediate")
    await undone.execute("set constraints all deferred")
    await undone.execute("update invoices set payments_total = 10 where id = $1", UUID(invoice["id"]))
    await undone.execute("update invoices_102244 set updated_at = now()")
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="do not equal the sum of its movements"):
        await undone.execute("set constraints compared immediate")
