"""Metrics for Prometheus: how the service is used and how it is doing."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from school_billing.database.pool import Database
    from school_billing.database.sql import AnyQuery

_LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The metrics of one application; their labels are bounded: route templates, never paths."""

    def __init__(self) -> None:
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
            ["method", "route"],
            buckets=_LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge("http_requests_in_flight", "Requests being answered.", registry=self.registry)
        self.queries = Histogram(
            "db_query_duration_seconds",
            "Time of a query by the name of its SQL file, the wait for a connection not counted.",
            ["query"],
            buckets=_LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.movements = Counter(
            "billing_movements",
            "Payments and refunds recorded.",
            ["kind"],
            registry=self.registry,
        )
        for kind in ("PAYMENT", "REFUND"):
            self.movements.labels(kind)
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
        self.refreshes = Counter(
            "auth_refreshes",
            "Refresh tokens presented: refused when unknown or over, reused when spent before.",
            ["outcome"],
            registry=self.registry,
        )
        for outcome in ("succeeded", "refused", "reused"):
            self.refreshes.labels(outcome)

    def watch(self, database: "Database") -> None:
        """Show the pool of `database`, and time its queries."""
        self.registry.register(_PoolCollector(database))
        database.observer = self._observe_query

    def _observe_query(self, query: "AnyQuery", seconds: float) -> None:
        self.queries.labels(query.name).observe(seconds)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class _PoolCollector(Collector):
    """Reads the pool when it is asked, so that no request pays for it."""

    def __init__(self, database: "Database") -> None:
        self._database = database

    def collect(self) -> Iterable[GaugeMetricFamily]:
        size = self._database.size()
        family = GaugeMetricFamily("db_pool_connections", "Connections of the pool.", labels=["state"])
        family.add_metric(["idle"], size.idle)
        family.add_metric(["in_use"], size.open - size.idle)
        family.add_metric(["limit"], size.limit)
        yield family
