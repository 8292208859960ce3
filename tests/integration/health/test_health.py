import asyncio
from collections.abc import Callable
from functools import cache
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from school_billing.app import create_app
from school_billing.platform.settings import Settings
from school_billing.platform.web import errors
from tests.api import Api, client_of, problem
from tests.conftest import running
from tests.proxy import door_to
from tests.server import Server


async def test_the_process_and_the_database_report_ok(anonymous: httpx.AsyncClient) -> None:
    for path in ("/health", "/health/db"):
        response = await anonymous.get(path)
        assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_metrics_count_requests_by_route_and_payments_by_kind(api: Api) -> None:
    async def metric(line: str) -> float:
        text = (await api.client.get("/metrics")).text
        return next((float(found.rpartition(" ")[2]) for found in text.splitlines() if found.startswith(line)), 0.0)

    payments, refunds = (f'billing_payments_total{{currency="USD",kind="{kind}"}}' for kind in ("PAYMENT", "REFUND"))
    route = 'http_requests_total{method="GET",route="/invoices/{invoice_id}",status="200"}'
    unmatched = 'http_requests_total{method="OTHER",route="unmatched",status="404"}'
    before = [await metric(line) for line in (payments, refunds, route, unmatched)]
    invoice = await api.invoice()
    await api.pay(invoice, "10.00")
    await api.pay(invoice, "10.00")
    await api.refund(invoice, "5.00")
    await api.client.post("/payments", json={"invoice_id": invoice["id"], "amount": "1000.00"})
    await api.reload(invoice)
    await api.client.request("BREW", "/coffee/1")
    after = [await metric(line) for line in (payments, refunds, route, unmatched)]
    assert [new - old for new, old in zip(after, before, strict=True)] == [2, 1, 1, 1]
    assert await metric('db_query_duration_seconds_count{query="payments/create"}') >= 3
    assert await metric('db_pool_connections{state="limit"}') == 20
    text = (await api.client.get("/metrics")).text
    assert invoice["id"] not in text
    assert "/coffee" not in text


async def test_a_client_that_disconnects_is_not_a_server_error(server: Server) -> None:
    address = urlsplit(server.url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    token = server.admin["Authorization"]
    writer.write(
        f"POST /payments HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
    )
    await writer.drain()
    writer.close()
    line = 'http_requests_total{method="POST",route="/payments",status="499"} 1.0'
    async with httpx.AsyncClient(base_url=server.url) as client, asyncio.timeout(10):
        while line not in (text := (await client.get("/metrics")).text):  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.02)
    assert 'route="/payments",status="500"' not in text


async def test_a_database_that_is_not_migrated_is_not_well(
    settings: Settings, new_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be empty, or lack the newest migration only. The log says once what to run."""
    for url in (new_database(empty=True), new_database()):
        with psycopg.connect(url) as psql:
            if psql.execute("select to_regclass('_yoyo_migration')").fetchone() != (None,):
                newest = "(select max(migration_id) from _yoyo_migration)"
                psql.execute(f"delete from _yoyo_migration where migration_id = {newest}")
        monkeypatch.setattr(errors, "_tell_to_migrate", cache(errors._tell_to_migrate.__wrapped__))
        service = create_app(replace(settings, database_url=url, audit_seal_interval_ms=3_600_000))
        with capture_logs() as logs:
            async with running(service), client_of(service) as client:
                for _ in range(2):
                    problem(await client.get("/health/db"), 503, "schema_outdated")
                assert (await client.get("/health")).status_code == 200
        told = [line for line in logs if line["log_level"] == "error"]
        assert [line["event"] for line in told] == ["the database lacks a migration: run `school-billing migrate`"]


async def test_the_service_says_503_while_the_database_is_away_and_recovers_by_itself(settings: Settings) -> None:
    async with door_to(settings.database_url) as door:
        service = create_app(replace(settings, database_url=door.url))
        async with running(service), client_of(service) as client:
            assert (await client.get("/health/db")).status_code == 200
            await door.shut()
            for path in ("/health/db", "/schools"):
                response = await client.get(path)
                problem(response, 503, "database_unavailable")
                assert int(response.headers["retry-after"]) >= 1
            assert (await client.get("/health")).status_code == 200
            await door.open()
            async with asyncio.timeout(10):
                while (await client.get("/health/db")).status_code != 200:  # noqa: ASYNC110 - it has no event
                    await asyncio.sleep(0.05)
            assert (await client.get("/schools")).status_code == 200
