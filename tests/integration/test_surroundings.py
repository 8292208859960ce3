"""Whatever becomes of Redis, of the collector and of the database, no answer is a 500 and no log line is a bug."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import asyncpg
import httpx
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from school_billing.app import create_app
from school_billing.auth.contracts import Role
from school_billing.platform.settings import Settings
from school_billing.statements import cache
from tests.accounts import log_in
from tests.api import NOBODY, Api, Json, client_of
from tests.conftest import running
from tests.server import free_port

Fault = Callable[[Settings], AbstractAsyncContextManager[Settings]]


@asynccontextmanager
async def a_redis_that_answers_anything(settings: Settings) -> AsyncIterator[Settings]:
    """It answers noise, what begins as an answer of Redis, and values that nobody signed."""
    chance = random.Random(7)  # noqa: S311 - no secret
    starts = [b"+OK\r\n", b"$-1\r\n", b"$3\r\n", b":7\r\n", b"*2\r\n", b"-ERR ", b"%1\r\n", b"_\r\n", b"$99999999\r\n"]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while asked := await reader.read(65_536):
                noise = chance.randbytes(chance.randrange(1, 40))
                value = b"$%d\r\n%b\r\n" % (len(noise), noise)
                greeting = b"+OK\r\n" * asked.count(b"SETINFO")
                writer.write(greeting or chance.choice([noise, chance.choice(starts) + noise, value, value]))
                if not greeting and chance.random() < 0.2:
                    break
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        yield replace(settings, redis_url=f"redis://127.0.0.1:{port}/0", redis_timeout_ms=100)
    finally:
        server.close()


@asynccontextmanager
async def a_collector_that_is_gone(settings: Settings) -> AsyncIterator[Settings]:
    gone = f"http://127.0.0.1:{free_port()}"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", gone)
        environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        environment.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")
        yield replace(settings, otel_exporter_otlp_endpoint=gone)


@asynccontextmanager
async def a_database_that_loses_its_connections(settings: Settings) -> AsyncIterator[Settings]:
    async def kill() -> None:
        killer = await asyncpg.connect(settings.database_url, server_settings={"application_name": "killer"})
        try:
            while True:
                await killer.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where datname = current_database() and pid <> pg_backend_pid() and random() < 0.3"
                )
                await asyncio.sleep(0.01)
        finally:
            killer.terminate()

    killing = asyncio.create_task(kill())
    try:
        yield settings
    finally:
        killing.cancel()
        await asyncio.wait({killing})


FAULTS: list[Fault] = [
    a_redis_that_answers_anything,
    a_collector_that_is_gone,
    a_database_that_loses_its_connections,
]


@pytest.mark.parametrize("fault", FAULTS)
async def test_no_answer_is_a_500(
    fault: Fault, settings: Settings, new_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_PAUSE_SECONDS", 0)  # So that every request asks Redis.
    own = replace(settings, database_url=new_database(), overdue_interval_seconds=1)
    headers = {"Authorization": f"Bearer {log_in(own.database_url, own.jwt_secret, Role.ADMIN)}"}
    service = create_app(own)
    async with running(service), client_of(service, **headers) as client:
        invoices = [await Api(client).invoice(total="9000.00") for _ in range(2)]
    answers: Counter[int] = Counter()
    with capture_logs() as logs:
        async with (
            fault(own) as broken,
            running(service := create_app(broken)),
            client_of(service, **headers) as client,
        ):

            async def use(seed: int) -> None:
                chance = random.Random(seed)  # noqa: S311 - no secret
                while loop.time() < ends_at:
                    answers[(await ask(client, chance, chance.choice(invoices))).status_code] += 1

            loop = asyncio.get_running_loop()
            ends_at = loop.time() + 2
            await asyncio.gather(*(use(seed) for seed in range(8)))
    assert [line for line in logs if line["event"] == "unhandled error"] == []
    assert set(answers) <= {200, 201, 404, 503}
    assert min(answers[200], answers[201], answers[404]) > 0
    if fault is not a_database_that_loses_its_connections:
        assert answers[503] == 0


async def ask(client: httpx.AsyncClient, chance: random.Random, invoice: Json) -> httpx.Response:
    if chance.random() < 0.3:
        return await client.post("/payments", json={"invoice_id": invoice["id"], "amount": "0.01"})
    school, student = f"/schools/{invoice['school_id']}", f"/students/{invoice['student_id']}"
    paths: list[Any] = [f"{owner}/statement{form}" for owner in (school, student) for form in ("", ".html", ".csv")]
    paths += [f"{school}/statement.ndjson", f"{school}/debtors", "/invoices", "/audit", "/health", "/health/db"]
    return await client.get(chance.choice([*paths, f"/invoices/{NOBODY}", "/metrics"]))
