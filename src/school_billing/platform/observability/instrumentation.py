"""Everything that watches the application: logs and Prometheus always; OpenTelemetry and Sentry if configured."""

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from school_billing.platform.observability.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from school_billing.platform.database.pool import Database
    from school_billing.platform.database.sql import AnyQuery
    from school_billing.platform.observability.reports import Reports
    from school_billing.platform.observability.tracing import Tracing
    from school_billing.platform.settings import Settings

log = structlog.get_logger("school_billing.platform.database")


class Instrumentation:
    """The metrics, traces and error reports of one application; `codes` are the codes of its problem documents."""

    def __init__(self, settings: "Settings", version: str, codes: "Iterable[str]") -> None:
        self.metrics = Metrics(version, codes)
        self.tracing: Tracing | None = None
        self.reports: Reports | None = None
        self._slow_seconds = settings.log_slow_query_ms / 1000 if settings.log_slow_query_ms else float("inf")
        # Imported here, so that a service without them does not pay for them.
        if settings.exports_traces:
            from school_billing.platform.observability import tracing  # noqa: PLC0415

            self.tracing = tracing.Tracing(settings, version)
        if settings.sentry_dsn:
            from school_billing.platform.observability import reports  # noqa: PLC0415

            self.reports = reports.Reports(settings.sentry_dsn, f"school-billing@{version}", settings.environment)

    @asynccontextmanager
    async def watching(self, database: "Database", standby: "Database | None" = None) -> "AsyncIterator[None]":
        """Watch the queries of both databases and the pool of `database`. At the end, send the rest in bounded time."""
        self.metrics.database = database
        for watched in (database, standby):
            if watched is not None:
                watched.observer = self._observe_query
        measuring = asyncio.create_task(self.metrics.keep_measuring())
        try:
            yield
        finally:
            measuring.cancel()
            await asyncio.wait({measuring})
            closing = [asyncio.to_thread(part.close) for part in (self.tracing, self.reports) if part is not None]
            await asyncio.gather(*closing)

    def _observe_query(self, query: "AnyQuery", seconds: float, error: BaseException | None) -> None:
        try:
            self.metrics.queries(query.name).observe(seconds)
            if self.tracing is not None:
                self.tracing.note_query(query.name, seconds, error)
        except Exception:  # The query is done, and its caller needs the result.
            log.exception("a query was not counted", query=query.name)
        if seconds >= self._slow_seconds:
            log.warning("slow query", query=query.name, duration_ms=round(seconds * 1000, 2))
