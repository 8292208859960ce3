"""Plain SQL from several connections at once. The totals of invoices always equal the sums of their payments."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from tests.api import Api

Connection = Any

WRITERS = 4
CHANGES = 4_000

INSERT = """
insert into payments (school_id, invoice_id, kind, amount)
select $1, drawn.invoice_id, drawn.kind, (random() * 99 + 1)::numeric(12, 2)
from unnest($2::uuid[], $3::text[]) as drawn (invoice_id, kind)
returning id
"""
CHANGES_OF = {
    "amount": "update payments set amount = (random() * 99 + 1)::numeric(12, 2) "
    "where id = any($1) and $2::uuid is not null",
    "invoice": "update payments set invoice_id = $2 where id = any($1)",
    "delete": "delete from payments where id = any($1) and $2::uuid is not null",
}

DIFFERENT = """
select invoices.id
from invoices
left join (
  select
    invoice_id,
    sum(amount) filter (where kind = 'PAYMENT') as payments,
    sum(amount) filter (where kind = 'REFUND') as refunds
  from payments
  group by invoice_id
) as sums on sums.invoice_id = invoices.id
where invoices.id = any($1)
  and (payments_total, refunds_total) is distinct from (coalesce(payments, 0), coalesce(refunds, 0))
"""


@pytest.fixture
async def writers(database_url: str) -> AsyncIterator[list[Connection]]:
    # Locks in random order often deadlock, which PostgreSQL looks for after a second.
    soon = {"deadlock_timeout": "5ms"}
    connections = [await asyncpg.connect(database_url, server_settings=soon) for _ in range(WRITERS)]
    yield connections
    await asyncio.gather(*(connection.close() for connection in connections))


async def invoices_of_one_student(api: Api, count: int) -> tuple[str, list[str]]:
    student = await api.student()
    return student["school_id"], [(await api.invoice(student, "5000.00"))["id"] for _ in range(count)]


async def test_the_totals_equal_the_sums_after_any_writes(api: Api, writers: list[Connection]) -> None:
    school, invoices = await invoices_of_one_student(api, 12)
    payments: list[str] = []
    changed = 0

    async def write(connection: Connection, draw: random.Random) -> None:
        nonlocal changed
        while changed < CHANGES:
            rows = draw.choice([1, 1, 2, 8])
            verb = draw.choice(["insert", "insert", "amount", "invoice", "delete"])
            kinds = draw.choices(["PAYMENT", "PAYMENT", "REFUND"], k=rows)
            some = draw.sample(payments, min(rows, len(payments)))
            try:
                if verb == "insert":
                    written = await connection.fetch(INSERT, school, draw.choices(invoices, k=rows), kinds)
                else:
                    written = await connection.fetch(CHANGES_OF[verb], some, draw.choice(invoices))
            except (asyncpg.IntegrityConstraintViolationError, asyncpg.DeadlockDetectedError):
                written = []  # The statement was undone: a check refused it, or it deadlocked.
            if verb == "insert":
                payments.extend(row["id"] for row in written)
            changed += rows

    draws = (random.Random(seed) for seed in range(WRITERS))  # noqa: S311 - reproducible choices, no secrets
    await asyncio.gather(*(write(*both) for both in zip(writers, draws, strict=True)))
    assert await writers[0].fetchval("select count(*) from payments where invoice_id = any($1)", invoices) > 100
    assert await writers[0].fetch(DIFFERENT, invoices) == []


async def test_two_parallel_swaps_of_invoices_neither_deadlock_nor_lose_money(
    api: Api, writers: list[Connection]
) -> None:
    school, pair = await invoices_of_one_student(api, 2)
    insert = "insert into payments (school_id, invoice_id, amount) values ($1, $2, 10) returning id"
    payments = [await writers[0].fetchval(insert, school, pair[n % 2]) for n in range(WRITERS)]

    async def move(connection: Connection, payment: str, first: int) -> None:
        for turn in range(50):
            there = pair[(first + turn) % 2]
            await connection.execute("update payments set invoice_id = $2 where id = $1", payment, there)

    await asyncio.gather(*(move(*both, first=n) for n, both in enumerate(zip(writers, payments, strict=True))))
    assert await writers[0].fetch(DIFFERENT, pair) == []
    totals = await writers[0].fetch("select payments_total from invoices where id = any($1)", pair)
    assert sum(row["payments_total"] for row in totals) == 40  # 4 * 10.00
