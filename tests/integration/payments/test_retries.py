"""Failures of the database during a request: it is retried if that is safe, and else answered with 503."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import psycopg
import pytest

from school_billing.app import create_app
from school_billing.auth.contracts import Role
from school_billing.platform.settings import Settings
from tests.accounts import log_in
from tests.api import Api, client_of, problem, until_waiting
from tests.conftest import running
from tests.proxy import Door, door_to


@asynccontextmanager
async def api_on(url: str, database_url: str = "", **changed: Any) -> AsyncIterator[Api]:
    settings = msgspec.structs.replace(Settings(database_url=url), **changed)
    service = create_app(settings)
    # Not through the API, because this thread would have to keep its event loop running.
    token = log_in(database_url or url, settings.jwt_secret, Role.ADMIN)
    async with (
        running(service),
        client_of(service, Authorization=f"Bearer {token}") as client,
    ):
        yield Api(client)


async def test_a_deadlock_is_retried(api: Api, psql: Any) -> None:
    for _ in range(5):
        student = await api.student()
        first, second = await api.invoice(student), await api.invoice(student)
        payment = await api.pay(first, "10.00")
        transaction = psql.transaction()
        await transaction.start()
        await psql.execute("update invoices set description = 'held' where id = $1", second["id"])
        # This session holds the first invoice and waits for the second, so each waits for the other.
        moving = asyncio.create_task(api.client.patch(f"/payments/{payment['id']}", json={"invoice_id": second["id"]}))
        await until_waiting(psql)
        try:
            await psql.execute("update invoices set description = 'held' where id = $1", first["id"])
        except asyncpg.DeadlockDetectedError:
            # On a busy machine PostgreSQL may abort this session instead. That tests nothing, so try again.
            await transaction.rollback()
            await moving
            continue
        await transaction.commit()
        break
    else:
        pytest.fail("The API's session was never the one that was undone.")
    response = await moving
    assert (response.status_code, response.json()["invoice_id"]) == (200, second["id"])
    assert (await api.reload(second))["paid_total"] == "10.00"
    assert (await api.reload(first))["paid_total"] == "0.00"


async def test_a_serialization_failure_is_retried(new_database: Callable[..., str]) -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            f"alter database {url.rpartition('/')[2]} set default_transaction_isolation to 'repeatable read'"
        )
    async with api_on(url) as api:
        invoice = await api.invoice(total="100.00")
        psql = await asyncpg.connect(url)
        try:
            transaction = psql.transaction()
            await transaction.start()
            await psql.execute("update invoices set description = 'held' where id = $1", invoice["id"])
            paying = asyncio.create_task(api.pay(invoice, "10.00"))
            await until_waiting(psql)
            await transaction.commit()
            await paying
        finally:
            await psql.close()
        assert (await api.reload(invoice))["paid_total"] == "10.00"


@pytest.fixture
async def door(database_url: str) -> AsyncIterator[Door]:
    async with door_to(database_url) as open_door:
        yield open_door


async def test_a_request_survives_dead_connections_in_the_pool(door: Door, database_url: str) -> None:
    async with api_on(door.url, database_url) as api:
        invoice = await api.invoice(total="100.00")
        for _ in range(3):
            await door.shut()
            await door.open()
            await api.pay(invoice, "10.00")
            assert (await api.client.get(f"/invoices/{invoice['id']}")).status_code == 200
        assert (await api.reload(invoice))["paid_total"] == "30.00"


async def test_a_payment_with_an_unknown_outcome_is_503_and_safe_to_retry(
    door: Door, database_url: str, psql: Any
) -> None:
    async with api_on(door.url, database_url) as api:
        invoice = await api.invoice(total="100.00")
        body, key = {"invoice_id": invoice["id"], "amount": "10.00"}, {"Idempotency-Key": str(uuid4())}
        transaction = psql.transaction()
        await transaction.start()
        await psql.execute("select from invoices where id = $1 for update", invoice["id"])
        sent = asyncio.create_task(api.client.post("/payments", json=body, headers=key))
        await until_waiting(psql)
        await door.shut()
        response = await sent
        problem(response, 503, "database_unavailable")
        assert response.headers["retry-after"]
        await door.open()
        await transaction.rollback()  # PostgreSQL goes on with the statement of the lost connection, and commits it.
        async with asyncio.timeout(10):
            while (again := await api.client.post("/payments", json=body, headers=key)).status_code != 201:
                problem(again, 409, "idempotency_key_in_flight")
        assert len(await api.get(f"/invoices/{invoice['id']}/payments")) == 1
        assert (await api.reload(invoice))["paid_total"] == "10.00"


async def test_an_interrupted_read_is_retried(door: Door, database_url: str, psql: Any) -> None:
    async with api_on(door.url, database_url) as api:
        school = await api.school()
        transaction = psql.transaction()
        await transaction.start()
        await psql.execute("lock table schools in access exclusive mode")
        reading = asyncio.create_task(api.client.get(f"/schools/{school['id']}"))
        await until_waiting(psql)
        await door.shut()
        await door.open()
        await transaction.rollback()
        assert (await reading).json() == school


async def test_a_row_that_stays_locked_is_503_and_keeps_no_connection(database_url: str, psql: Any) -> None:
    async with api_on(database_url, database_lock_timeout_ms=100, database_pool_max=2) as api:
        invoice = await api.invoice()
        async with psql.transaction():
            await psql.execute("select from invoices where id = $1 for update", UUID(invoice["id"]))
            body = {"invoice_id": invoice["id"], "amount": "10.00"}
            for answer in await asyncio.gather(*(api.client.post("/payments", json=body) for _ in range(4))):
                problem(answer, 503, "database_unavailable")
                assert answer.headers["retry-after"]
            assert (await api.reload(invoice))["paid_total"] == "0.00"
        await api.pay(invoice, "10.00")


async def test_long_statements_of_one_caller_leave_connections_to_others(
    new_database: Callable[..., str],
) -> None:
    url = new_database()
    psql, watch = await asyncpg.connect(url), await asyncpg.connect(url)
    async with api_on(
        url,
        database_pool_max=8,
        database_lock_timeout_ms=60_000,
        database_acquire_timeout_ms=60_000,
        statement_cache_mb=0,
    ) as api:
        school = await api.school()
        path = f"/schools/{school['id']}/statement?from=2026-01-01"
        token = log_in(url, Settings().jwt_secret, Role.ADMIN, None)
        other = {"Authorization": f"Bearer {token}"}

        async def read(times: int, **headers: str) -> list[int]:
            answers = await asyncio.gather(*(api.client.get(path, headers=headers) for _ in range(times)))
            return [answer.status_code for answer in answers]

        async with psql.transaction():
            await psql.execute("lock table payments in access exclusive mode")
            flood = asyncio.create_task(read(20))
            await until_waiting(watch, 1)
            stranger = asyncio.create_task(read(3, **other))
            await until_waiting(watch, 2)
            async with asyncio.timeout(5):
                for _ in range(10):
                    await api.get("/schools")
            with pytest.raises(TimeoutError):  # An eighth of the pool for each of the two.
                await until_waiting(watch, 3, seconds=0.2)
        assert await flood + await stranger == [200] * 23
    await psql.close()
    await watch.close()
