"""Servers are killed and PostgreSQL restarts under a stream of payments. Each acknowledged payment is stored once.

Each fault once in `make test`; `make test-faults` sets FAULT_SECONDS, and they come again and again.
"""

import asyncio
import os
import random
import time
from decimal import Decimal
from itertools import cycle
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg

from school_billing.platform.database.migrations import migrate
from tests.api import Api, Json
from tests.postgres import Postgres
from tests.server import Server, command, free_port, start, wait_until_healthy

SECONDS = float(os.environ.get("FAULT_SECONDS", "0"))
CLIENTS = 6


class Client:
    """Sends payments, and retries each with its idempotency key until it has an answer."""

    def __init__(self, urls: list[str], headers: dict[str, str], invoices: list[Json], seed: int) -> None:
        self._urls = cycle(urls[seed % len(urls) :] + urls[: seed % len(urls)])
        self._headers = headers
        self._invoices = invoices
        self._random = random.Random(seed)  # noqa: S311 - which invoice is no secret
        self.acknowledged: dict[str, Decimal] = {}
        self.retries = 0

    async def pay_until(self, over: asyncio.Event) -> None:
        async with httpx.AsyncClient(headers=self._headers, timeout=15) as http:
            while not over.is_set():
                amount = Decimal(self._random.randint(1, 999)).scaleb(-2)
                body = {"invoice_id": self._random.choice(self._invoices)["id"], "amount": str(amount)}
                payment = await self._send(http, body, str(uuid4()))
                assert payment not in self.acknowledged
                self.acknowledged[payment] = amount

    async def _send(self, http: httpx.AsyncClient, body: Json, key: str) -> str:
        for url in self._urls:
            try:
                response = await http.post(f"{url}/payments", json=body, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                pass
            else:
                if response.status_code == 201:
                    return str(response.json()["id"])
                assert response.status_code in {409, 503}, response.text
                if response.status_code == 409:
                    assert response.json()["code"] == "idempotency_key_in_flight"
            self.retries += 1
            await asyncio.sleep(0.02)
        raise AssertionError("unreachable")


async def test_every_acknowledged_payment_is_stored_exactly_once(tmp_path: Path) -> None:
    postgres = Postgres(tmp_path)
    postgres.start()
    migrate(postgres.url)
    servers = [start(postgres.url, free_port()) for _ in range(2)]
    try:
        for server in servers:
            wait_until_healthy(server.url, server.process)
        async with httpx.AsyncClient(base_url=servers[0].url, headers=servers[0].admin) as http:
            api = Api(http)
            student = await api.student()
            invoices = [await api.invoice(student, "9999999.00") for _ in range(3)]
        over = asyncio.Event()
        urls = [server.url for server in servers]
        clients = [Client(urls, servers[0].admin, invoices, seed) for seed in range(CLIENTS)]
        streams = [asyncio.create_task(client.pay_until(over)) for client in clients]
        faults = await make_trouble(postgres, servers)
        over.set()
        async with asyncio.timeout(60):
            await asyncio.gather(*streams)
        assert sum(client.retries for client in clients) > 0

        acknowledged = {payment: amount for client in clients for payment, amount in client.acknowledged.items()}
        with psycopg.connect(postgres.url) as connection:
            rows = connection.execute("select id::text, amount from payments").fetchall()
            total = connection.execute("select sum(payments_total) from invoices").fetchone()
        assert len(rows) == len(acknowledged) > 10 * faults
        assert dict(rows) == acknowledged
        assert total == (sum(acknowledged.values()),)
        verified = await asyncio.to_thread(command, postgres.url, "ledger", "verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr
    finally:
        for server in servers:
            server.process.kill()
            server.process.wait()
        postgres.stop()


TROUBLES = ["kill a server", "restart PostgreSQL", "kill a server", "kill PostgreSQL"]


async def make_trouble(postgres: Postgres, servers: list[Server]) -> int:
    """Cause faults in turn for SECONDS, each at least once, and return their number."""
    deadline = time.monotonic() + SECONDS
    faults = 0
    for trouble in cycle(TROUBLES):
        await asyncio.sleep(0.5)  # Some payments in between have no fault.
        if time.monotonic() > deadline and faults >= len(TROUBLES):
            break
        faults += 1
        if trouble == "kill a server":
            number = faults // 2 % len(servers)
            servers[number].process.kill()
            servers[number].process.wait()
            port = int(servers[number].url.rpartition(":")[2])
            servers[number] = start(postgres.url, port)
            while await health(servers[number]) != httpx.codes.OK:  # noqa: ASYNC110 - a process has no event for it
                await asyncio.sleep(0.05)
        elif trouble == "restart PostgreSQL":
            await asyncio.to_thread(postgres.stop)
            postgres.start()
        else:
            postgres.kill()
            postgres.start()
    return faults


async def health(server: Server) -> int:
    assert server.process.poll() is None
    async with httpx.AsyncClient() as http:
        try:
            return (await http.get(f"{server.url}/health", timeout=1)).status_code
        except httpx.TransportError:
            return 0
