"""The room of statements, in every form."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar.openapi.spec import Tag

from school_billing.platform.database.pool import Database
from school_billing.platform.observability.metrics import Metrics
from school_billing.platform.rooms import Room
from school_billing.platform.settings import Settings
from school_billing.statements.cache import StatementCache
from school_billing.statements.controller import StatementController
from school_billing.statements.exports import ExportController
from school_billing.statements.printed.controller import PrintedStatementController
from school_billing.statements.printed.pdf_renderer import PdfRenderer
from school_billing.statements.printed.repository import PrintedStatements
from school_billing.statements.repository import Statements
from school_billing.statements.source import StatementSource


def room(database: Database, source: StatementSource, settings: Settings, metrics: Metrics) -> Room:
    """Return what statements bring to the application; Redis keeps them if the settings name one."""
    cache = None
    if settings.redis_url:
        cache = StatementCache(
            settings.redis_url,
            seconds=settings.statement_cache_seconds,
            timeout_ms=settings.redis_timeout_ms,
            count=lambda outcome: metrics.statement_cache.labels(outcome).inc(),
        )

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        yield
        if cache is not None:
            await cache.close()

    statements = Statements(source, cache)
    return Room(
        Tag("statements", "Who owes what, and how it came to that."),
        StatementController,
        ExportController,
        PrintedStatementController,
        running=running,
        statements=statements,
        printed_statements=PrintedStatements(database, statements),
        pdf_renderer=PdfRenderer(),
    )
