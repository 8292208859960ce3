"""Metrics for Prometheus: how the service is used and how it is doing.

Several processes that share PROMETHEUS_MULTIPROC_DIR answer /metrics as one: each writes its values to files there,
and whoever is asked adds them up.
"""

import asyncio
import os
import platform
import re
import time
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

if TYPE_CHECKING:
    from school_billing.platform.database.pool import Database

_LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_REFRESH_SECONDS = 1
_IMPORTED_AT = time.time()
_OURS = re.compile(r"(?:counter|histogram|summary|gauge_[a-z]+)_([0-9]+)\.db")


class Metrics:
    """The metrics of one application; their labels are bounded: route templates, never paths.

    `codes` are the codes of problems that are counted by name; `directory` is PROMETHEUS_MULTIPROC_DIR, where that
    is set: prometheus_client itself reads it from the environment, when it is imported.
    """

    def __init__(self, version: str = "", codes: Iterable[str] = (), directory: str = "") -> None:
        self._codes = frozenset(codes)
        self._directory = directory
        if directory:
            Path(directory).mkdir(parents=True, exist_ok=True)
            forget_the_dead(directory, at_start=True)
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "http_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.latency = Histogram(
            "http_request_duration_seconds",
            "Time from the request's head to the end of its answer.",
            ["method", "route", "status"],
            buckets=_LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "http_requests_in_flight", "Requests being answered.", registry=self.registry, multiprocess_mode="livesum"
        )
        self.errors = Counter(
            "http_errors",
            "Problem documents answered, by their code.",
            ["code"],
            registry=self.registry,
        )
        self.queries = Histogram(
            "db_query_duration_seconds",
            "Time of a query by the name of its SQL file, the wait for a connection not counted.",
            ["query"],
            buckets=_LATENCY_BUCKETS,
            registry=self.registry,
        )
        self._pool = Gauge(
            "db_pool_connections",
            "Connections of the pool.",
            ["state"],
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self._pool_waiting = Gauge(
            "db_pool_waiting",
            "Requests that wait for a connection.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self._database: Database | None = None
        self._currencies = set[str]()
        self.movements = Counter(
            "billing_movements",
            "Payments and refunds recorded.",
            ["kind", "currency"],
            registry=self.registry,
        )
        self.amounts = Counter(
            "billing_movements_amount",
            "Their amounts, in units of the currency. A float: for graphs, the books are the statements.",
            ["kind", "currency"],
            registry=self.registry,
        )
        self.overdue = Gauge(
            "billing_overdue_amount",
            "What is owed past its due date in all schools, in units of the currency; summed now and then.",
            ["currency"],
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        self.logins = Counter(
            "auth_logins",
            "Attempts to log in: refused for wrong credentials, or throttled before those were looked at.",
            ["outcome"],
            registry=self.registry,
        )
        for outcome in ("succeeded", "refused", "throttled"):
            self.logins.labels(outcome)
        self.statement_cache = Counter(
            "statement_cache",
            "Statements asked of the cache, where there is one; an error is a cache that does not answer.",
            ["outcome"],
            registry=self.registry,
        )
        for outcome in ("hit", "miss", "error"):
            self.statement_cache.labels(outcome)
        self.statement_reads = Counter(
            "statement_reads",
            "Statements read, where there is a standby: by which of the two, and why.",
            ["source", "reason"],
            registry=self.registry,
        )
        self.statement_reads.labels("standby", "level")
        for reason in ("behind", "busy", "canceled", "unavailable"):
            self.statement_reads.labels("primary", reason)
        self.refreshes = Counter(
            "auth_refreshes",
            "Refresh tokens presented: refused when unknown or over, reused when spent before.",
            ["outcome"],
            registry=self.registry,
        )
        for outcome in ("succeeded", "refused", "reused"):
            self.refreshes.labels(outcome)
        Gauge(
            "school_billing_build_info",
            "Which version this is, and of which Python; always 1.",
            ["version", "python"],
            registry=self.registry,
            multiprocess_mode="livemax",
        ).labels(version, platform.python_version()).set(1)

        # A look-up by labels takes longer than to count, and there are few of them.
        self._requests_of = cache(self.requests.labels)
        self._latency_of = cache(self.latency.labels)
        self._queries_of = cache(self.queries.labels)
        self._movements_of = cache(self.movements.labels)
        self._amounts_of = cache(self.amounts.labels)

    def watch(self, database: "Database") -> None:
        """Show the pool of `database`."""
        self._database = database

    def count_request(self, method: str, route: str, status: int, seconds: float, code: str | None) -> None:
        """Count an answer; `code` is the code of its problem, where it is one."""
        self._requests_of(method, route, status).inc()
        self._latency_of(method, route, status).observe(seconds)
        if code is not None:
            self.errors.labels(code if code in self._codes else "other").inc()

    def count_query(self, name: str, seconds: float) -> None:
        """Count a query by the name of its SQL file."""
        self._queries_of(name).observe(seconds)

    def count_movement(self, kind: str, currency: str, amount: Decimal) -> None:
        """Count a movement that is committed; the schema knows no other currencies than those of ISO 4217."""
        self._movements_of(kind, currency).inc()
        self._amounts_of(kind, currency).inc(float(amount))

    def set_overdue(self, by_currency: Mapping[str, Decimal]) -> None:
        """Show what is overdue, by currency; of a currency in which nothing is any more, nothing."""
        self._currencies |= by_currency.keys()
        for currency in self._currencies:
            self.overdue.labels(currency).set(float(by_currency.get(currency, 0)))

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format, those of all processes where they share a directory."""
        self._measure_pool()
        if not self._directory:
            return generate_latest(self.registry)
        forget_the_dead(self._directory)
        everybody = CollectorRegistry()
        MultiProcessCollector(everybody, self._directory)  # type: ignore[no-untyped-call] # the library has no types here
        return generate_latest(everybody)

    async def keep_measuring(self) -> None:
        """Keep the pool's figures fresh for the other processes, which cannot look into this one; never returns."""
        while self._directory:
            self._measure_pool()
            await asyncio.sleep(_REFRESH_SECONDS)

    def _measure_pool(self) -> None:
        if self._database is None:
            return
        size = self._database.size()
        self._pool.labels("idle").set(size.idle)
        self._pool.labels("in_use").set(size.open - size.idle)
        self._pool.labels("limit").set(size.limit)
        self._pool_waiting.set(size.waiting)


def forget_the_dead(directory: str, *, at_start: bool = False) -> None:
    """Remove what processes that have ended left in `directory`.

    Their gauges go at once, for they say how things stand. What they counted stays, or the sums would fall, and
    goes when a process starts and nobody else is alive: then all counting begins anew.
    """
    files = [path for path in Path(directory).iterdir() if _OURS.fullmatch(path.name)]
    dead = [path for path in files if not _has_living_writer(path)]
    everything = at_start and len(dead) == len(files)
    for path in dead:
        if everything or path.name.startswith("gauge_live"):
            path.unlink(missing_ok=True)


def _has_living_writer(path: Path) -> bool:
    pid = int(path.stem.rpartition("_")[2])
    try:
        if pid == os.getpid():
            # In a container each start has the same number: an older file was another's.
            return path.stat().st_mtime >= _IMPORTED_AT
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, FileNotFoundError):
        return False
    return True
