"""Queries that verify and seal the whole database, over all schools."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec import Struct

from school_billing.platform.database.errors import ConstraintViolated
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query


class WrongTotals(Struct, frozen=True):
    """An invoice whose totals differ from the sums of its payments and refunds."""

    id: UUID
    school_id: UUID
    payments_total: Decimal
    payments_sum: Decimal
    refunds_total: Decimal
    refunds_sum: Decimal

    def __str__(self) -> str:
        return (
            f"invoice {self.id} of school {self.school_id}: "
            f"payments_total {self.payments_total}, but its payments sum to {self.payments_sum}; "
            f"refunds_total {self.refunds_total}, but its refunds sum to {self.refunds_sum}"
        )


class WrongAdjustments(Struct, frozen=True):
    """An invoice whose totals of adjustments differ from the sums of these, or that is void and adjusted."""

    id: UUID
    school_id: UUID
    credited_total: Decimal
    credited_sum: Decimal
    discounted_total: Decimal
    discounted_sum: Decimal
    written_off_total: Decimal
    written_off_sum: Decimal
    reversals_total: Decimal
    reversals_sum: Decimal

    def __str__(self) -> str:
        return (
            f"invoice {self.id} of school {self.school_id}: "
            f"credited_total {self.credited_total}, but its credit notes sum to {self.credited_sum}; "
            f"discounted_total {self.discounted_total}, but its discounts sum to {self.discounted_sum}; "
            f"written_off_total {self.written_off_total}, but its write-offs sum to {self.written_off_sum}; "
            f"reversals_total {self.reversals_total}, but its reversals sum to {self.reversals_sum}"
        )


class WrongReceipt(Struct, frozen=True):
    """A receipt whose totals differ from the sums of its allocations and refunds, or that pays more than it has."""

    id: UUID
    school_id: UUID
    amount: Decimal
    reversed_at: datetime | None
    allocated_total: Decimal
    allocations_sum: Decimal
    refunded_total: Decimal
    refunds_sum: Decimal

    def __str__(self) -> str:
        return (
            f"{'receipt' if self.reversed_at is None else 'reversed receipt'} {self.id} of school {self.school_id}: "
            f"amount {self.amount}; "
            f"allocated_total {self.allocated_total}, but its allocations sum to {self.allocations_sum}; "
            f"refunded_total {self.refunded_total}, but its refunds sum to {self.refunds_sum}"
        )


class WrongLines(Struct, frozen=True):
    """An invoice or an adjustment whose lines do not sum to its total."""

    what: str
    id: UUID
    school_id: UUID
    total_amount: Decimal
    lines_sum: Decimal

    def __str__(self) -> str:
        return (
            f"{self.what} {self.id} of school {self.school_id}: total_amount {self.total_amount}, but its lines sum to "
            f"{self.lines_sum}"
        )


class WrongShares(Struct, frozen=True):
    """A student whose payers have shares that do not sum to 100."""

    id: UUID
    school_id: UUID
    shares_sum: Decimal

    def __str__(self) -> str:
        return f"student {self.id} of school {self.school_id}: the shares of the payers sum to {self.shares_sum}"


class WrongNumbers(Struct, frozen=True):
    """A series of numbers with a gap, or whose counter is wrong."""

    school_id: UUID
    series: str
    year: int
    documents: int
    first_number: int
    last_number: int
    misshapen: int
    counter: int

    def __str__(self) -> str:
        return (
            f"numbers {self.series} {self.year} of school {self.school_id}: {self.documents} documents have the "
            f"numbers {self.first_number} to {self.last_number}, {self.misshapen} of them in another form; "
            f"the counter is {self.counter}"
        )


class BrokenLink(Struct, frozen=True):
    """An entry of the audit trail that does not fit the chain of its school."""

    id: UUID
    school_id: UUID
    position: int
    finding: str

    def __str__(self) -> str:
        return f"audit entry {self.id}, position {self.position} of school {self.school_id}: {self.finding}"


class WrongDate(Struct, frozen=True):
    """A movement of money or an adjustment that is dated after now, or before what it changes."""

    what: str
    id: UUID
    school_id: UUID
    dated_at: datetime
    finding: str

    def __str__(self) -> str:
        return f"{self.what} {self.id} of school {self.school_id} is dated {self.finding}: {self.dated_at.isoformat()}"


class WrongClosing(Struct, frozen=True):
    """A closing that does not agree with the books."""

    id: UUID
    school_id: UUID
    through: date
    finding: str

    def __str__(self) -> str:
        return f"closing {self.id} through {self.through} of school {self.school_id} {self.finding}"


class Overdue(Struct, frozen=True):
    """The sum that is overdue in one currency, over all schools."""

    currency: str
    overdue: Decimal


class Unallocated(Struct, frozen=True):
    """The money in one currency that pays nothing yet, over all schools."""

    currency: str
    unallocated: Decimal
    """Of known payers."""
    unidentified: Decimal
    """Of nobody yet."""


class Summary(Struct, frozen=True):
    """How many rows there are to verify."""

    invoices: int
    payments: int
    """Payments and refunds."""
    adjustments: int
    """Credit notes, discounts, write-offs and reversals."""
    receipts: int
    sealed_entries: int
    unsealed_entries: int
    head: str
    """SHA-256 of the last hashes of all chains, in hexadecimal digits."""

    def __str__(self) -> str:
        return (
            f"{self.invoices} invoices, {self.payments} payments and refunds, {self.adjustments} adjustments, "
            f"{self.receipts} receipts, {self.sealed_entries} sealed audit entries ({self.unsealed_entries} not yet), "
            f"head {self.head}"
        )


VERIFY_TOTALS = Query("ledger/verify_totals", WrongTotals)
VERIFY_ADJUSTMENTS = Query("ledger/verify_adjustments", WrongAdjustments)
VERIFY_LINES = Query("ledger/verify_lines", WrongLines)
VERIFY_RECEIPTS = Query("ledger/verify_receipts", WrongReceipt)
VERIFY_SHARES = Query("ledger/verify_shares", WrongShares)
VERIFY_NUMBERS = Query("ledger/verify_numbers", WrongNumbers)
VERIFY_CHAIN = Query("ledger/verify_chain", BrokenLink)
VERIFY_DATES = Query("ledger/verify_dates", WrongDate)
VERIFY_CLOSINGS = Query("ledger/verify_closings", WrongClosing)
VERIFIED: tuple[Query[Any], ...] = (
    VERIFY_TOTALS,
    VERIFY_ADJUSTMENTS,
    VERIFY_LINES,
    VERIFY_RECEIPTS,
    VERIFY_SHARES,
    VERIFY_NUMBERS,
    VERIFY_CHAIN,
    VERIFY_DATES,
    VERIFY_CLOSINGS,
)
SEAL = Query("ledger/seal", int)
UNSEALED = Query("ledger/unsealed", str)
OVERDUE = Query("ledger/overdue_by_currency", Overdue)
UNALLOCATED = Query("ledger/unallocated_by_currency", Unallocated)
SUMMARY = Query("ledger/summary", Summary)

_BATCH_SIZE = 5_000


class Ledger:
    """Verifies and seals the books of all schools."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def differences(self, limit: int) -> list[Struct]:
        """Return the first `limit` differences of each kind; an empty list if the books are right."""
        return [difference for query in VERIFIED for difference in await self._database.all(query, limit=limit)]

    async def summary(self) -> Summary:
        """Count the rows that `differences` verifies, and return the hash to keep outside of this database."""
        return await self._database.one(SUMMARY)

    async def overdue(self) -> list[Overdue]:
        """Return the sum that is overdue, for each currency."""
        return await self._database.all(OVERDUE)

    async def unallocated(self) -> list[Unallocated]:
        """Return the money that pays nothing yet, for each currency."""
        return await self._database.all(UNALLOCATED)

    async def seal(self) -> int:
        """Seal all unsealed audit entries and return their number. Do nothing while another process seals."""
        schools = await self._database.all(UNSEALED) if self._database.by_school else [None]
        return sum([await self._seal(school_id) for school_id in schools])

    async def _seal(self, school_id: str | None) -> int:
        total = 0
        while True:
            try:
                sealed = await self._database.one(SEAL, school_id=school_id, limit=_BATCH_SIZE)
            except ConstraintViolated as error:
                if error.constraint != "audit_log_position_key":
                    raise
                # Another process sealed these entries between this statement's snapshot and its lock.
                return total
            total += sealed
            if sealed < _BATCH_SIZE:
                return total
