"""Work beside the requests, again and again until the process ends."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from school_billing.platform.database.errors import DatabaseError

log = structlog.get_logger("school_billing.ledger")


async def run_every(work: Callable[[], Awaitable[object]], every_seconds: float, name: str) -> None:
    """Do `work` every so many seconds until cancelled; when it fails, say so, and the next try will catch up."""
    while True:
        await asyncio.sleep(every_seconds)
        try:
            await work()
        except DatabaseError as error:
            log.warning(f"{name} failed; the next try will catch up", cause=repr(error))
        except Exception:
            # Whatever it is, it must not end the work that comes after it.
            log.exception(f"{name} failed")
