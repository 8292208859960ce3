"""Metrics for Prometheus: how the service is used and how it is doing.

Workers answer /metrics as one: each writes its values to files in PROMETHEUS_MULTIPROC_DIR, and the worker that
Prometheus asks adds them up. prometheus_client reads the variable when it is imported.
"""

import asyncio
import os
import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from school_billing.platform.database.pool import Database

_LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_REFRESH_SECONDS = 1


class AmountByCurrency:
    """An amount of all schools, for each currency."""

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._currencies = set[str]()

    def set(self, by_currency: Mapping[str, Decimal]) -> None:
        """Show the amounts; a currency that is missing now goes back to 0."""
        self._currencies |= by_currency.keys()
        for currency in self._currencies:
            self._gauge.labels(currency).set(float(by_currency.get(currency, 0)))


class WorkersCollector(Collector):
    """Reads the metrics of all workers from the files in `directory`, without those that are still empty."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)

    def collect(self) -> Iterable[Metric]:
        """Return the sums of the workers. The library's own collector fails on a file that is still empty."""
        files = [str(path) for path in self._directory.glob("*.db") if _has_content(path)]
        merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call] # it has no types
        return merged


def _has_content(path: Path) -> bool:
    with suppress(FileNotFoundError):  # The file of a worker that died is deleted.
        return path.stat().st_size > 0
    return False


class Metrics:
    """The metrics of one application. No client can choose a label: a route is a template, never a path.

    `codes` are the codes of problems that have a label of their own.
    """

    def __init__(self, version: str = "", codes: Iterable[str] = ()) -> None:
        self.database: Database | None = None
        """The database whose pool is shown."""
        self._codes = frozenset(codes)
        self._directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        self._registry = CollectorRegistry()
        counter = partial(Counter, registry=self._registry)
        histogram = partial(Histogram, registry=self._registry, buckets=_LATENCY_BUCKETS)
        gauge = partial(Gauge, registry=self._registry, multiprocess_mode="livesum")
        latest = partial(Gauge, registry=self._registry, multiprocess_mode="livemax")

        def outcomes(name: str, meaning: str, *known: str) -> Counter:
            made = counter(name, meaning, ["outcome"])
            for outcome in known:  # Prometheus sees a first increase only if there was a 0 before it.
                made.labels(outcome)
            return made

        # Looking labels up takes longer than counting, so what each request needs is kept.
        answer, payment = ["method", "route", "status"], ["kind", "currency"]
        self._requests = cache(counter("http_requests", "Requests answered.", answer).labels)
        self._latency = cache(histogram("http_request_duration_seconds", "Time until an answer's end.", answer).labels)
        self.queries = cache(histogram("db_query_duration_seconds", "Time on a connection.", ["query"]).labels)
        self._payments = cache(counter("billing_payments", "Payments and refunds recorded.", payment).labels)
        # A float is good enough for graphs. The exact sums are in the statements.
        self._amounts = cache(counter("billing_payments_amount", "Their amounts in the currency.", payment).labels)

        self._errors = counter("http_errors", "Problem documents answered.", ["code"])
        overdue = latest("billing_overdue_amount", "Overdue amounts of all schools.", ["currency"])
        unallocated = latest("billing_unallocated_amount", "Money of payers that pays nothing yet.", ["currency"])
        unidentified = latest("billing_unidentified_amount", "Money that has no payer yet.", ["currency"])
        self.overdue, self.unallocated, self.unidentified = map(AmountByCurrency, (overdue, unallocated, unidentified))
        self._pool = gauge("db_pool_connections", "Connections of the pool.", ["state"])
        self._pool_waiting = gauge("db_pool_waiting", "Requests that wait for a connection.")
        self.in_flight = gauge("http_requests_in_flight", "Requests being answered.")
        self.logins = outcomes("auth_logins", "Attempts to log in.", "succeeded", "refused", "throttled")
        self.refreshes = outcomes("auth_refreshes", "Refresh tokens presented.", "succeeded", "refused", "reused")
        self.statement_cache = counter("statement_cache", "Statements looked up in a store.", ["store", "outcome"])
        for store, more in {"memory": (), "redis": ("invalid", "error")}.items():
            for outcome in ("hit", "miss", "shared", *more):
                self.statement_cache.labels(store, outcome)
        self.statement_reads = counter("statement_reads", "Statements read beside a standby.", ["source", "reason"])
        self.statement_reads.labels("standby", "level")
        for reason in ("behind", "busy", "canceled", "unavailable"):
            self.statement_reads.labels("primary", reason)
        build = latest("school_billing_build_info", "The version and that of Python.", ["version", "python"])
        build.labels(version, platform.python_version()).set(1)

    def count_request(self, method: str, route: str, status: int, seconds: float, code: str | None) -> None:
        """Count an answer; `code` is the code of its problem document."""
        self._requests(method, route, status).inc()
        self._latency(method, route, status).observe(seconds)
        if code is not None:
            self._errors.labels(code if code in self._codes else "other").inc()

    def count_payment(self, kind: str, currency: str, amount: Decimal) -> None:
        """Count a committed payment or refund. The schema allows no currency but those of ISO 4217."""
        self._payments(kind, currency).inc()
        self._amounts(kind, currency).inc(float(amount))

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format, those of all workers."""
        self._measure_pool()
        if not self._directory:
            return generate_latest(self._registry)
        shared = CollectorRegistry()
        shared.register(WorkersCollector(self._directory))
        return generate_latest(shared)

    async def keep_measuring(self) -> None:
        """Keep the pool's figures fresh for the other workers, which cannot read them from this one."""
        while self._directory:
            self._measure_pool()
            await asyncio.sleep(_REFRESH_SECONDS)

    def _measure_pool(self) -> None:
        if self.database is None:
            return
        size = self.database.size()
        self._pool.labels("idle").set(size.idle)
        self._pool.labels("in_use").set(size.open - size.idle)
        self._pool.labels("limit").set(size.limit)
        self._pool_waiting.set(size.waiting)
