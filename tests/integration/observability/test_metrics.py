"""What /metrics tells, of one process and of several that share a directory."""

import asyncio
import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from school_billing.app import create_app
from school_billing.platform.database.sql import Query
from school_billing.platform.observability.metrics import Metrics, WorkersCollector
from school_billing.platform.settings import Settings
from school_billing.platform.web.errors import error_classes
from tests.api import NOBODY, Api, client_of, problem, until_waiting
from tests.conftest import running


class Scrape:
    """What /metrics told at one moment."""

    def __init__(self, text: str) -> None:
        self.samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the samples that have these labels."""
        return sum(
            sample.value for sample in self.samples if sample.name == name and labels.items() <= sample.labels.items()
        )

    def labels(self, name: str) -> set[str]:
        """Return all the values of a label."""
        return {sample.labels[name] for sample in self.samples if name in sample.labels}


async def scrape(client: httpx.AsyncClient) -> Scrape:
    return Scrape((await client.get("/metrics")).text)


async def test_amounts_are_counted_by_kind_and_currency_once_for_each_payment_that_is_committed(
    api: Api,
) -> None:
    yen = await api.invoice(await api.student(await api.school(currency="JPY")), total="1000.00")
    euro = await api.invoice(await api.student(await api.school(currency="EUR")), total="10.00")
    before = await scrape(api.client)
    await api.pay(yen, "600.00")
    key = {"Idempotency-Key": str(uuid4())}
    body = {"invoice_id": euro["id"], "amount": "7.25"}
    first = await api.client.post("/payments", json=body, headers=key)
    again = await api.client.post("/payments", json=body, headers=key)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()
    assert first.json()["currency"] == "EUR"
    await api.refund(euro, "0.25")
    problem(await api.client.post("/payments", json=body | {"amount": "5.00"}), 409, "overpayment")
    after = await scrape(api.client)

    def grown(name: str, **labels: str) -> float:
        return after.value(name, **labels) - before.value(name, **labels)

    amount = "billing_payments_amount_total"
    assert grown(amount, kind="PAYMENT", currency="JPY") == 600
    assert grown(amount, kind="PAYMENT", currency="EUR") == 7.25
    assert grown(amount, kind="REFUND", currency="EUR") == 0.25
    assert grown(amount) == pytest.approx(607.5)  # 600 + 7.25 + 0.25
    assert grown("billing_payments_total", kind="PAYMENT", currency="EUR") == 1


async def test_answers_are_counted_by_route_status_and_code_and_the_build_is_told(api: Api) -> None:
    before = await scrape(api.client)
    await api.client.get(f"/students/{NOBODY}")
    await api.client.head(f"/students/{NOBODY}")
    after = await scrape(api.client)
    route = {"route": "/students/{student_id}", "status": "404"}
    for name in ("http_requests_total", "http_request_duration_seconds_count"):
        for method in ("GET", "HEAD"):
            assert after.value(name, method=method, **route) - before.value(name, method=method, **route) == 1
    errors = [seen.value("http_errors_total", code="student_not_found") for seen in (before, after)]
    assert errors[1] - errors[0] == 2
    python = ".".join(map(str, sys.version_info[:3]))
    assert after.value("school_billing_build_info", version=version("school-billing"), python=python) == 1


async def test_requests_that_wait_for_a_connection_are_counted(settings: Settings, api: Api) -> None:
    invoice = await api.invoice(total="100.00")
    service = create_app(replace(settings, database_pool_min=1, database_pool_max=1))
    psql = await asyncpg.connect(settings.database_url)
    async with running(service), client_of(service, **dict(api.client.headers)) as client:
        async with psql.transaction():
            await psql.execute("select from invoices where id = $1 for update", invoice["id"])
            paying = asyncio.create_task(Api(client).pay(invoice, "1.00"))
            await until_waiting(psql)
            reading = [asyncio.create_task(client.get("/health/db")) for _ in range(3)]
            async with asyncio.timeout(10):
                # Of the pool's one connection the sealing may wait as well.
                while (await scrape(client)).value("db_pool_waiting") < 3:  # noqa: ASYNC110 - it has no event
                    await asyncio.sleep(0)
            seen = await scrape(client)
            assert seen.value("db_pool_connections", state="in_use") == 1
            assert seen.value("http_requests_in_flight") == 5  # The payment, three that wait, and this one.
        await paying
        assert [(await read).status_code for read in reading] == [200, 200, 200]
        async with asyncio.timeout(10):
            while (await scrape(client)).value("db_pool_waiting"):  # noqa: ASYNC110 - the sealing takes its turn
                await asyncio.sleep(0)
    await psql.close()


UNUSUAL: list[tuple[str, str, dict[str, Any]]] = [
    *[
        (method, "/students", {})
        for method in ("BREW", "TRACE", "PROPFIND", "get", "X" * 60, "OPTIONS", "PUT", "QUERY")
    ],
    *[
        ("GET", f"/{word}", {})
        for word in ("lisa", "lisa/simpson", "%00", "..%2f..%2fetc", "a" * 3000, "🐟", "students/")
    ],
    *[("GET", f"/students/{word}", {}) for word in ("lisa", NOBODY, NOBODY.upper(), "%F0%9F%90%9F", "1" * 500)],
    *[("DELETE", f"/invoices/{uuid4()}", {}) for _ in range(5)],
    ("GET", "/docs/assets/lisa.js", {}),
    ("GET", "/docs/lisa", {}),
    ("GET", "/students?lisa=1", {}),
    ("GET", "/students?limit=lisa", {}),
    ("GET", "/students", {"headers": {"Authorization": "Bearer lisa"}}),
    ("GET", "/students", {"headers": {"Authorization": "Lisa lisa"}}),
    ("GET", "/students", {"headers": {"Host": "lisa.example", "X-Request-Id": "lisa"}}),
    ("GET", "/students", {"headers": {"If-None-Match": "lisa"}}),
    ("POST", "/students", {"content": b"lisa"}),
    ("POST", "/students", {"content": b"{}", "headers": {"Content-Type": "lisa/simpson"}}),
    ("POST", "/students", {"json": {"lisa": "simpson"}}),
    ("POST", "/schools", {"json": {"name": "Lisa", "currency": "LSA"}}),
    ("POST", "/schools", {"json": {"name": "Lisa", "currency": "usd"}}),
    ("POST", "/payments", {"json": {"invoice_id": NOBODY, "amount": "1.00", "kind": "LISA"}}),
    ("POST", "/payments", {"json": {"invoice_id": NOBODY, "amount": "1.00", "method": "lisa"}}),
    ("POST", "/payments", {"json": {}, "headers": {"Idempotency-Key": "🐟".encode()}}),
    ("POST", "/auth/login", {"json": {"username": "lisa", "password": "simpson-simpson"}}),
    ("POST", "/students", {"content": b"x" * 1_100_000}),
]


async def test_no_request_however_unusual_adds_a_label_of_its_own(settings: Settings, api: Api) -> None:
    service = create_app(settings)
    routes = {"unmatched"} | {re.sub(r":\w+\}", "}", route.path) for route in service.litestar.routes}
    codes = error_classes().keys() | {"other"}
    async with running(service), client_of(service, Authorization=api.client.headers["authorization"]) as client:
        for method, path, options in UNUSUAL:
            await client.request(method, path, **options)
        seen = await scrape(client)
        assert seen.value("http_requests_total") == len(UNUSUAL)
    assert seen.labels("method") <= {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "OTHER"}
    assert seen.labels("route") <= routes
    assert all(re.fullmatch(r"[2-5]\d\d", status) for status in seen.labels("status"))
    assert seen.labels("code") <= codes
    assert len(seen.labels("code")) > 8, "the walk meets many kinds of errors"
    assert seen.labels("query") <= set(Query.registered)
    assert seen.labels("currency") == set()
    assert seen.labels("state") == {"idle", "in_use", "limit"}
    of_cache = {"hit", "miss", "shared", "invalid", "error"}
    assert seen.labels("outcome") == {"succeeded", "refused", "throttled", "reused"} | of_cache
    assert seen.labels("store") == {"memory", "redis"}
    assert seen.labels("source") == {"standby", "primary"}
    assert seen.labels("reason") == {"level", "behind", "busy", "canceled", "unavailable"}
    labels = {name for sample in seen.samples for name in sample.labels} - {"le", "version", "python"}
    assert labels == {"method", "route", "status", "code", "query", "state", "outcome", "store", "source", "reason"}
    told = " ".join(value for sample in seen.samples for value in sample.labels.values()).lower()
    assert "lisa" not in told
    assert "simpson" not in told


def test_a_worker_that_has_only_just_made_its_file_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "counter_1.db").touch()
    assert list(WorkersCollector(str(tmp_path)).collect()) == []


def test_a_code_that_is_none_of_ours_is_counted_as_other() -> None:
    metrics = Metrics(codes=["overpayment"])
    for code in ("overpayment", "lisa", "simpson"):
        metrics.count_request("POST", "/payments", 409, 0.1, code)
    seen = Scrape(metrics.exposition().decode())
    assert seen.value("http_errors_total", code="overpayment") == 1
    assert seen.value("http_errors_total", code="other") == 2
    assert seen.labels("code") == {"overpayment", "other"}
