"""The room of the ledger: no routes, but work beside the requests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from school_billing.ledger.background import run_every
from school_billing.ledger.repository import Ledger
from school_billing.platform.database.pool import Database
from school_billing.platform.observability.metrics import Metrics
from school_billing.platform.settings import Settings


@asynccontextmanager
async def work(database: Database, settings: Settings, metrics: Metrics) -> AsyncIterator[None]:
    """Seal the audit trail, and sum what is overdue, until the end of the block."""
    ledger = Ledger(database)

    async def count_overdue() -> None:
        metrics.set_overdue({row.currency: row.overdue for row in await ledger.overdue()})

    jobs = [run_every(ledger.seal, settings.audit_seal_interval_ms / 1000, "sealing the audit trail")]
    if settings.overdue_interval_seconds:
        jobs.append(run_every(count_overdue, settings.overdue_interval_seconds, "summing what is overdue"))
    tasks = [asyncio.create_task(job) for job in jobs]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
