"""Sealing in the background: the chain of the audit trail grows a moment behind the changes, beside the requests."""

import asyncio

import structlog

from school_billing.database.errors import DatabaseError
from school_billing.ledger.repository import Ledger

log = structlog.get_logger("school_billing.ledger")


async def keep_sealing(ledger: Ledger, every_seconds: float) -> None:
    """Seal what there is, again and again until cancelled; every process may do so, one at a time gets to."""
    while True:
        await asyncio.sleep(every_seconds)
        try:
            await ledger.seal()
        except DatabaseError as error:
            log.warning("sealing the audit trail failed; the next try will catch up", cause=repr(error))
        except Exception:
            # Whatever it is, it must not end the sealing of all that comes after it.
            log.exception("sealing the audit trail failed")
