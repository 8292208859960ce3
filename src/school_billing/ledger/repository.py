"""The verification of the whole database, in SQL."""

from decimal import Decimal
from uuid import UUID

from msgspec import Struct

from school_billing.platform.database.errors import ConstraintViolated
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query


class WrongTotals(Struct, frozen=True):
    """An invoice whose totals are not the sum of its movements."""

    id: UUID
    school_id: UUID
    payments_total: Decimal
    payments_sum: Decimal
    refunds_total: Decimal
    refunds_sum: Decimal

    def __str__(self) -> str:
        return (
            f"invoice {self.id} of school {self.school_id}: payments {self.payments_total}, their sum "
            f"{self.payments_sum}; refunds {self.refunds_total}, their sum {self.refunds_sum}"
        )


class BrokenLink(Struct, frozen=True):
    """An entry of the audit trail at which the chain of its school does not hold."""

    id: UUID
    school_id: UUID
    position: int
    finding: str

    def __str__(self) -> str:
        return f"audit entry {self.id}, number {self.position} of school {self.school_id}: {self.finding}"


class Sealed(Struct, frozen=True):
    """How many entries were sealed."""

    sealed: int


class Overdue(Struct, frozen=True):
    """What is overdue in one currency, in all schools."""

    currency: str
    overdue: Decimal


class Extent(Struct, frozen=True):
    """How much there is to verify."""

    invoices: int
    movements: int
    sealed_entries: int
    unsealed_entries: int
    head: str
    """SHA-256 over the last hash of every chain, in hexadecimal digits."""


VERIFY_TOTALS = Query("ledger/verify_totals", WrongTotals, limit=int)
VERIFY_CHAIN = Query("ledger/verify_chain", BrokenLink, limit=int)
SEAL = Query("ledger/seal", Sealed, limit=int)
OVERDUE = Query("ledger/overdue_by_currency", Overdue)
SUMMARY = Query("ledger/summary", Extent)

_SEALED_AT_ONCE = 5_000


class Ledger:
    """The whole of the books, of all schools."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def differences(self, limit: int) -> list[WrongTotals | BrokenLink]:
        """Return the first `limit` differences of each kind; none means that the books are right."""
        return [
            *await self._database.all(VERIFY_TOTALS, limit=limit),
            *await self._database.all(VERIFY_CHAIN, limit=limit),
        ]

    async def extent(self) -> Extent:
        """Return how much was verified, and the hash to keep elsewhere."""
        return await self._database.one(SUMMARY)

    async def overdue(self) -> list[Overdue]:
        """Return what is overdue, by currency."""
        return await self._database.all(OVERDUE)

    async def seal(self) -> int:
        """Chain every audit entry that waits for it, and return how many did; another sealer at work is left to it."""
        total = 0
        while True:
            try:
                sealed = await self._database.one(SEAL, limit=_SEALED_AT_ONCE)
            except ConstraintViolated as error:
                if error.constraint != "audit_log_position_key":
                    raise
                # Another sealer finished between this statement's snapshot and its lock: the work is done.
                return total
            total += sealed.sealed
            if sealed.sealed < _SEALED_AT_ONCE:
                return total
