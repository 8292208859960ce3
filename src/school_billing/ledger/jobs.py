"""The work that runs beside the requests: sealing the audit trail, and summing debts and credit for the metrics."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from school_billing.ledger.repository import Ledger
from school_billing.platform.database.pool import Database
from school_billing.platform.jobs import repeating
from school_billing.platform.observability.metrics import Metrics
from school_billing.platform.settings import Settings


@asynccontextmanager
async def running_jobs(database: Database, settings: Settings, metrics: Metrics) -> AsyncIterator[None]:
    """Run the jobs until the end of the block."""
    ledger = Ledger(database)

    async def sum_balances() -> None:
        metrics.overdue.set({row.currency: row.overdue for row in await ledger.overdue()})
        found = await ledger.unallocated()
        metrics.unallocated.set({row.currency: row.unallocated for row in found})
        metrics.unidentified.set({row.currency: row.unidentified for row in found})

    async with AsyncExitStack() as stack:
        sealing = repeating(ledger.seal, settings.audit_seal_interval_ms / 1000, "sealing the audit trail")
        await stack.enter_async_context(sealing)
        if seconds := settings.overdue_interval_seconds:
            await stack.enter_async_context(repeating(sum_balances, seconds, "summing debts and credit"))
        yield
