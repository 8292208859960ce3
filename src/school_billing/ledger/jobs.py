"""The work that runs beside the requests: sealing the audit trail, and summing what is overdue for the metrics."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from school_billing.ledger.repository import Ledger
from school_billing.platform.database.errors import DatabaseError
from school_billing.platform.database.pool import Database
from school_billing.platform.observability.metrics import Metrics
from school_billing.platform.settings import Settings

log = structlog.get_logger("school_billing.ledger")


@asynccontextmanager
async def running_jobs(database: Database, settings: Settings, metrics: Metrics) -> AsyncIterator[None]:
    """Run the jobs until the end of the block."""
    ledger = Ledger(database)

    async def count_overdue() -> None:
        metrics.set_overdue({row.currency: row.overdue for row in await ledger.overdue()})

    jobs = [_repeat(ledger.seal, settings.audit_seal_interval_ms / 1000, "sealing the audit trail")]
    if settings.overdue_interval_seconds:
        jobs.append(_repeat(count_overdue, settings.overdue_interval_seconds, "summing what is overdue"))
    tasks = [asyncio.create_task(job) for job in jobs]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def _repeat(job: Callable[[], Awaitable[object]], pause_seconds: float, name: str) -> None:
    """Run a job again and again until cancelled. A failure is logged, and the next run catches up."""
    while True:
        await asyncio.sleep(pause_seconds)
        try:
            await job()
        except DatabaseError as error:
            log.warning(f"{name} failed; the next try will catch up", cause=repr(error))
        except Exception:
            # A bug in one run must not end all later runs.
            log.exception(f"{name} failed")
