"""How the server starts, stops, and lives through a restart of PostgreSQL: real processes and real sockets."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import psycopg
import pytest

from school_billing.platform.database.migrations import migrate
from tests.api import Api, problem, until_waiting
from tests.postgres import Postgres
from tests.proxy import door_to
from tests.server import Server, free_port, serve, wait_until_healthy


def ended(server: Server, seconds: float) -> tuple[int, float]:
    """Wait for the server's end; return its exit code and how long it took."""
    started = time.monotonic()
    code = server.process.wait(timeout=seconds)
    return code, time.monotonic() - started


async def refuses(server: Server) -> None:
    """Wait until the server takes no new connection."""
    address = urlsplit(server.url)
    async with asyncio.timeout(5):
        while True:
            try:
                _, writer = await asyncio.open_connection(address.hostname, address.port)
            except ConnectionRefusedError:
                return
            writer.transport.abort()
            await asyncio.sleep(0.02)


@contextmanager
def held(database_url: str, invoice: dict[str, Any]) -> Iterator[Any]:
    """Keep the invoice's row locked: who pays it waits until the block ends."""
    with psycopg.connect(database_url) as psql:
        psql.execute("select from invoices where id = %s for update", [invoice["id"]])
        yield psql


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_stop_answers_what_is_in_flight_and_takes_nothing_new(database_url: str, workers: int) -> None:
    watch = await asyncpg.connect(database_url)
    with serve(database_url, None, workers, SHUTDOWN_SECONDS="30") as server:
        async with httpx.AsyncClient(base_url=server.url, headers=server.admin, timeout=30) as client:
            invoice = await Api(client).invoice(total="100.00")
            with held(database_url, invoice):
                paying = asyncio.create_task(Api(client).pay(invoice, "10.00"))
                await until_waiting(watch)
                server.process.send_signal(signal.SIGTERM)
                await refuses(server)
                assert not paying.done()
            assert (await paying)["amount"] == "10.00"
        code, seconds = await asyncio.to_thread(ended, server, 15)
    assert (code, seconds < 10) == (0, True)
    assert await watch.fetchval("select count(*) from payments where invoice_id = $1", invoice["id"]) == 1
    await watch.close()


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_stop_does_not_wait_longer_than_it_may(database_url: str, workers: int) -> None:
    watch = await asyncpg.connect(database_url)
    with serve(database_url, None, workers, SHUTDOWN_SECONDS="1") as server:
        async with httpx.AsyncClient(base_url=server.url, headers=server.admin, timeout=30) as client:
            invoice = await Api(client).invoice(total="100.00")
            with held(database_url, invoice):
                body = {"invoice_id": invoice["id"], "amount": "10.00"}
                paying = asyncio.create_task(client.post("/payments", json=body))
                await until_waiting(watch)
                server.process.send_signal(signal.SIGTERM)
                code, seconds = await asyncio.to_thread(ended, server, 20)
                assert (code, seconds < 10) == (0, True)
                problem(await paying, 503, "server_stopping")
                assert (await paying).headers["retry-after"]
    assert await watch.fetchval("select count(*) from payments where invoice_id = $1", invoice["id"]) == 0
    await watch.close()


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_connection_that_only_waits_does_not_hold_the_stop_up(database_url: str, workers: int) -> None:
    with serve(database_url, None, workers, SHUTDOWN_SECONDS="30") as server:
        async with httpx.AsyncClient(base_url=server.url) as client:
            await client.get("/health")
            address = urlsplit(server.url)
            silent, half = [(await asyncio.open_connection(address.hostname, address.port))[1] for _ in range(2)]
            half.write(b"GET /health HTTP/1.1\r\nHost:")
            await half.drain()
            server.process.send_signal(signal.SIGTERM)
            code, seconds = await asyncio.to_thread(ended, server, 25)
            for writer in (silent, half):
                writer.close()
                await writer.wait_closed()
    assert (code, seconds < 10) == (0, True)


@contextmanager
def starting(database_url: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """Run `school-billing serve` whatever becomes of it; its log can be read."""
    process = subprocess.Popen(
        [sys.executable, "-m", "school_billing", "serve"],
        env=os.environ | {"DATABASE_URL": database_url} | environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def test_a_start_waits_for_the_database_and_says_so(database_url: str) -> None:
    async with door_to(database_url) as door:
        await door.shut()
        port = free_port()
        with starting(door.url, PORT=str(port)) as process:
            assert process.stderr is not None
            line = await asyncio.to_thread(process.stderr.readline)
            assert line.startswith(f"waiting for the database 127.0.0.1:{urlsplit(door.url).port}/")
            assert "refused" in line
            assert (urlsplit(database_url).password or "no password") not in line
            await door.open()
            await asyncio.to_thread(wait_until_healthy, f"http://127.0.0.1:{port}", process)
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.communicate, timeout=15)
            assert process.returncode == 0


async def test_a_start_does_not_wait_for_ever() -> None:
    url = f"postgresql://billing:hush-hush@127.0.0.1:{free_port()}/billing"
    with starting(url, DATABASE_WAIT_SECONDS="1") as process:
        _, log = await asyncio.to_thread(process.communicate, timeout=30)
    assert process.returncode == 1
    assert "cannot be reached" in log.splitlines()[-1]
    assert "hush" not in log
    assert "Traceback" not in log


async def test_a_restart_of_postgresql_under_load_is_503_for_a_while_and_then_over(tmp_path: Path) -> None:
    postgres = Postgres(tmp_path)
    postgres.start()
    try:
        migrate(postgres.url)
        with serve(postgres.url) as server:
            async with httpx.AsyncClient(base_url=server.url, headers=server.admin, timeout=30) as client:
                invoice = await Api(client).invoice(total="999999.00")
                answers: list[httpx.Response] = []
                over = asyncio.Event()

                async def load() -> None:
                    while not over.is_set():
                        body = {"invoice_id": invoice["id"], "amount": "0.01"}
                        answers.append(await client.post("/payments", json=body))
                        answers.append(await client.get(f"/invoices/{invoice['id']}"))

                streams = [asyncio.create_task(load()) for _ in range(4)]
                await asyncio.sleep(0.5)
                await asyncio.to_thread(postgres.stop)
                async with asyncio.timeout(20):
                    while not any(response.status_code == 503 for response in answers):  # noqa: ASYNC110 - no event
                        await asyncio.sleep(0.05)
                assert (await client.get("/health")).status_code == 200
                problem(await client.get("/health/db"), 503)
                postgres.start()
                # Nobody does anything to the server, and it is well again.
                async with asyncio.timeout(20):
                    while (await client.get("/health/db")).status_code != 200:  # noqa: ASYNC110 - the same
                        await asyncio.sleep(0.05)
                before = len(answers)
                await asyncio.sleep(0.5)
                over.set()
                await asyncio.gather(*streams)
                invoice = await Api(client).reload(invoice)
        assert {response.status_code for response in answers} == {200, 201, 503}
        refused = [response for response in answers if response.status_code == 503]
        assert all(int(response.headers["retry-after"]) >= 1 for response in refused)
        assert {response.status_code for response in answers[before + 8 :]} == {200, 201}
        paid = sum(response.status_code == 201 for response in answers)
        assert Decimal(invoice["paid_total"]) * 100 >= paid  # A 503 may have been carried out; a 201 has been.
    finally:
        postgres.stop()


def test_a_development_service_that_other_machines_can_reach_says_so(database_url: str, tmp_path: Path) -> None:
    for host, warns in (("0.0.0.0", True), ("127.0.0.1", False)):  # noqa: S104 - that is the case
        log = tmp_path / host
        with serve(database_url, log, HOST=host):
            assert ("other machines can reach this service" in log.read_text()) == warns
