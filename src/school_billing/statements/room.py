"""The room of statements: every form of them, and what they are read from."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar.openapi.spec import Tag

from school_billing.platform.bounded_queue import BoundedQueue
from school_billing.platform.database.pool import Database
from school_billing.platform.observability.metrics import Metrics
from school_billing.platform.rooms import Room
from school_billing.platform.settings import Settings
from school_billing.statements.adjustments import AdjustmentFileController
from school_billing.statements.billing_runs import BillingRunRowsController
from school_billing.statements.cache import CachedReader, MemoryStore, RedisStore, Store
from school_billing.statements.controller import StatementController
from school_billing.statements.invoices import InvoicePaperController
from school_billing.statements.printed.renderers import SECONDS_MOST, PrintingBusy, PrintQueue
from school_billing.statements.receipts import ReceiptPaperController
from school_billing.statements.repository import FairReader, StatementReader, Statements
from school_billing.statements.standby import StandbyReader


def room(database: Database, standby: Database | None, settings: Settings, metrics: Metrics) -> Room:
    """Return what statements bring to the application; the standby and the stores of statements are optional."""
    reader: StatementReader = database
    if standby is not None:
        reader = StandbyReader(database, standby, lambda *labels: metrics.statement_reads.labels(*labels).inc())
    reader = FairReader(reader, settings)
    store: Store | None = None
    if settings.redis_url:
        store = RedisStore(settings, lambda outcome: metrics.statement_cache.labels("redis", outcome).inc())
    elif settings.statement_cache_mb:
        store = MemoryStore(settings, lambda outcome: metrics.statement_cache.labels("memory", outcome).inc())
    if store is not None:
        reader = CachedReader(reader, database, store)

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        yield
        if store is not None:
            await store.close()

    return Room(
        Tag("statements", "Statements of account, debtors and collections."),
        StatementController,
        InvoicePaperController,
        AdjustmentFileController,
        ReceiptPaperController,
        BillingRunRowsController,
        running=running,
        statements=Statements(reader),
        print_queue=PrintQueue(),
        # Each of these downloads has a file on disk, until its reader has it. At most half are for one school.
        workbook_queue=BoundedQueue(4, PrintingBusy, limit=4 + 32, share_at_once=2, wait_seconds=SECONDS_MOST),
    )
