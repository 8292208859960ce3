"""Work that runs beside the requests, again and again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from school_billing.platform.database.errors import DatabaseError

log = structlog.get_logger("school_billing.jobs")


@asynccontextmanager
async def repeating(job: Callable[[], Awaitable[object]], pause_seconds: float, name: str) -> AsyncIterator[None]:
    """Run a job again and again until the end of the block. A failure is logged, and the next run catches up."""
    task = asyncio.create_task(_repeat(job, pause_seconds, name))
    yield
    task.cancel()
    await asyncio.wait({task})


async def _repeat(job: Callable[[], Awaitable[object]], pause_seconds: float, name: str) -> None:
    while True:
        await asyncio.sleep(pause_seconds)
        try:
            await job()
        except DatabaseError as error:
            log.warning(f"{name} failed; the next try will catch up", cause=repr(error))
        except Exception:
            # A bug in one run must not end all later runs.
            log.exception(f"{name} failed")
