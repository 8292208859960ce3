"""All that watches the application: always logs and Prometheus; OpenTelemetry and Sentry where the settings say so."""

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from school_billing.platform.observability.closing import close_within
from school_billing.platform.observability.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from school_billing.platform.database.pool import Database
    from school_billing.platform.database.sql import AnyQuery
    from school_billing.platform.observability.reports import Reports
    from school_billing.platform.observability.telemetry import Telemetry
    from school_billing.platform.settings import Settings

_CLOSE_SECONDS = 5

log = structlog.get_logger("school_billing.platform.database")


class Instrumentation:
    """The eyes on one application; `codes` are the codes that its problem documents have."""

    def __init__(self, settings: "Settings", version: str, codes: "Iterable[str]") -> None:
        self.metrics = Metrics(version, codes, settings.prometheus_multiproc_dir)
        self.telemetry: Telemetry | None = None
        self.reports: Reports | None = None
        self._slow_seconds = settings.log_slow_query_ms / 1000 if settings.log_slow_query_ms else float("inf")
        # Imported here, so that what is off costs nothing.
        if settings.exports_traces or settings.exports_metrics:
            from school_billing.platform.observability import telemetry  # noqa: PLC0415

            self.telemetry = telemetry.Telemetry(settings, version)
        if settings.sentry_dsn:
            from school_billing.platform.observability import reports  # noqa: PLC0415

            self.reports = reports.Reports(settings.sentry_dsn, f"school-billing@{version}", settings.environment)

    @asynccontextmanager
    async def watching(self, database: "Database", standby: "Database | None" = None) -> "AsyncIterator[None]":
        """Watch `database` until the end of the block, and then send what is not sent yet, within a bounded time.

        Of the `standby` the queries are watched like the database's own; the pool that is shown is the database's.
        """
        self.metrics.watch(database)
        database.observer = self._observe_query
        if standby is not None:
            standby.observer = self._observe_query
        measuring = asyncio.create_task(self.metrics.keep_measuring())
        try:
            yield
        finally:
            measuring.cancel()
            await asyncio.wait({measuring})
            closers = list(self.telemetry.closers) if self.telemetry else []
            if self.reports is not None:
                closers.append(self.reports.close)
            await close_within(_CLOSE_SECONDS, *closers)

    def _observe_query(self, query: "AnyQuery", seconds: float, error: BaseException | None) -> None:
        try:
            self.metrics.count_query(query.name, seconds)
            if self.telemetry is not None:
                self.telemetry.note_query(query.name, seconds, error)
        except Exception:  # What the query did is done, and its caller must hear of that.
            log.exception("a query was not counted", query=query.name)
        if seconds >= self._slow_seconds:
            log.warning("slow query", query=query.name, duration_ms=round(seconds * 1000, 2))
