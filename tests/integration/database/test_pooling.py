"""The service and its commands behind a pooler of transactions, such as PgBouncer."""

import asyncio
from collections.abc import Callable

import httpx
import psycopg
import pytest

from school_billing.app import create_app
from school_billing.auth.contracts import Role
from school_billing.platform.database.migrations import migrate
from school_billing.platform.database.pool import Database
from school_billing.platform.settings import Settings
from tests.accounts import log_in
from tests.api import Api, client_of
from tests.conftest import running
from tests.pooler import pooler_of


async def statuses(api: Api, invoice: dict[str, str]) -> set[int]:
    """Pay, read and read on, eight at once."""

    async def work() -> list[httpx.Response]:
        return [
            await api.client.post("/payments", json={"invoice_id": invoice["id"], "amount": "1.00"}),
            await api.client.get(f"/students/{invoice['student_id']}/statement"),
            await api.client.get(f"/schools/{invoice['school_id']}/debtors"),
            await api.client.get("/audit"),
        ]

    answers = await asyncio.gather(*(work() for _ in range(8)))
    return {response.status_code for responses in answers for response in responses}


@pytest.mark.parametrize("kept", [0, 100])
async def test_without_prepared_statements_each_transaction_may_have_another_connection(
    database_url: str, kept: int
) -> None:
    async with pooler_of(database_url) as (pooler, url):
        settings = Settings(database_url=url, database_prepared_statements=kept, database_pool_min=4)
        token = log_in(database_url, settings.jwt_secret, Role.ADMIN)
        service = create_app(settings)
        async with running(service), client_of(service, Authorization=f"Bearer {token}") as client:
            if kept:
                # The pooler has teeth: whoever relies on a connection's prepared statements loses them.
                for _ in range(20):
                    if (await client.get("/schools")).status_code == 500:
                        return
                pytest.fail("The pooler changed no connection.")
            api = Api(client)
            invoice = await api.invoice(total="100.00")
            assert await statuses(api, invoice) <= {200, 201}
            assert (await api.reload(invoice))["paid_total"] == "8.00"  # 8 * 1.00
            export = await client.get(f"/schools/{invoice['school_id']}/students", params={"limit": 500})
            assert export.status_code == 200
        assert pooler.switches > 20


async def test_a_large_statement_is_prepared_by_name_like_every_other(database_url: str) -> None:
    """PgBouncer 1.21 and newer know statements by their names; one without would be lost between two steps."""
    async with (
        Database(Settings(database_url=database_url, database_pool_max=1, database_pool_min=1)) as database,
        database._pool.acquire() as connection,
    ):
        await connection.fetch(f"select 1 -- {'x' * 50_000}")
        assert await connection.fetchval("select max(length(statement)) from pg_prepared_statements") > 50_000


async def test_migrators_wait_for_each_other_through_a_pooler(new_database: Callable[..., str]) -> None:
    database_url = new_database(empty=True)
    async with pooler_of(database_url) as (pooler, url):
        results = await asyncio.gather(*(asyncio.to_thread(migrate, url) for _ in range(3)))
        assert sorted(bool(applied) for applied in results) == [False, False, True]
        assert pooler.switches > 0
    with psycopg.connect(database_url) as connection:
        held = connection.execute(
            "select count(*) from pg_locks join pg_database on pg_database.oid = pg_locks.database "
            "where locktype = 'advisory' and datname = current_database()"
        ).fetchone()
    assert held == (0,)
