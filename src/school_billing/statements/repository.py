"""Statements, each computed and rendered by one SQL statement."""

from collections.abc import AsyncGenerator
from datetime import date
from decimal import Decimal
from typing import Any, Protocol, TypeVar
from uuid import UUID

from msgspec.structs import asdict

from school_billing.payers.errors import PayerNotFound
from school_billing.platform.bounded_queue import BoundedQueue
from school_billing.platform.database.context import context
from school_billing.platform.database.errors import ConnectionsBusy
from school_billing.platform.database.sql import Query
from school_billing.platform.settings import Settings
from school_billing.platform.web.errors import FieldError, InvalidParameter
from school_billing.platform.web.pages import Page, first_page
from school_billing.schools.days import Moment
from school_billing.schools.errors import SchoolNotFound
from school_billing.statements.contracts import (
    CollectionsBy,
    CollectionsDocument,
    DebtorsBy,
    DebtorsDocument,
    ExportedRow,
    RollForwardDocument,
    StatementDocument,
)
from school_billing.statements.parameters import (
    DebtorFilters,
    DebtorsPage,
    ReversedPeriod,
    StatementRange,
    require_order,
)
from school_billing.students.errors import StudentNotFound

Row = TypeVar("Row")

ROWS_MOST = 3660
"""The most rows of collections: ten years of days."""

STUDENT = Query("statements/student", StatementDocument)
STUDENT_AS_OF = Query("statements/student_as_of", StatementDocument)
PAYER = Query("statements/payer", StatementDocument)
PAYER_AS_OF = Query("statements/payer_as_of", StatementDocument)
SCHOOL = Query("statements/school", StatementDocument)
SCHOOL_AS_OF = Query("statements/school_as_of", StatementDocument)
SCHOOL_LINES = Query("statements/school_lines", ExportedRow)
SCHOOL_LINES_AS_OF = Query("statements/school_lines_as_of", ExportedRow)
COLLECTIONS = Query("statements/collections", CollectionsDocument)
DEBTORS = Query("statements/debtors", DebtorsDocument)
FORECAST = Query("statements/forecast", str)
ROLL_FORWARD = Query("statements/roll_forward", RollForwardDocument)


_ALL_DEBTORS = DebtorsPage(first_page(1))


class StatementReader(Protocol):
    """What statements are read from: the Database, or a standby or a cache in front of it."""

    async def one_or_none(self, query: Query[Row], /, **values: Any) -> Row | None:
        """Return the row of a query, or None."""

    def stream(self, query: Query[Row], school_id: UUID, /, **values: Any) -> AsyncGenerator[list[Row]]:
        """Yield the rows of a query in parts, so that a large download fits in memory."""


class FairReader:
    """Reads from `reader`, and leaves connections to others.

    Long statements use at most a quarter of the pool, and those of one caller half of that: each keeps a core of the
    database busy.
    """

    def __init__(self, reader: StatementReader, settings: Settings) -> None:
        quarter = max(1, settings.database_pool_max // 4)
        self._reader = reader
        self._turns = BoundedQueue(
            quarter,
            ConnectionsBusy,
            share_at_once=max(1, quarter // 2),
            wait_seconds=settings.database_acquire_timeout_ms / 1000,
        )
        self.stream = reader.stream

    async def one_or_none(self, query: Query[Row], /, **values: Any) -> Row | None:
        """Read a row like Database.one_or_none. Short ones, of a student or payer now, never wait."""
        if query is STUDENT or query is PAYER:
            return await self._reader.one_or_none(query, **values)
        async with self._turns.turn(context().actor):
            return await self._reader.one_or_none(query, **values)


class Statements:
    """The statements; `tenant` is the school that the caller is bound to, None for all schools."""

    def __init__(self, reader: StatementReader) -> None:
        self._reader = reader

    async def of_student(
        self, tenant: UUID | None, student_id: UUID, statement_range: StatementRange
    ) -> StatementDocument:
        """Return what a student owes, with every invoice, and with the entries of the period if there is one.

        Raises StudentNotFound, and ReversedPeriod if the period begins after today and has no end.
        """
        if statement_range.is_now:
            statement = await self._reader.one_or_none(STUDENT, tenant=tenant, student_id=student_id)
        else:
            values = asdict(statement_range)
            statement = await self._reader.one_or_none(STUDENT_AS_OF, tenant=tenant, student_id=student_id, **values)
        if statement is None:
            raise StudentNotFound
        return _not_reversed(statement)

    async def of_payer(self, tenant: UUID | None, payer_id: UUID, statement_range: StatementRange) -> StatementDocument:
        """Return what a payer owes, with every invoice, and with the entries of the period if there is one.

        Raises PayerNotFound, and ReversedPeriod if the period begins after today and has no end.
        """
        if statement_range.is_now:
            statement = await self._reader.one_or_none(PAYER, tenant=tenant, payer_id=payer_id)
        else:
            values = asdict(statement_range)
            statement = await self._reader.one_or_none(PAYER_AS_OF, tenant=tenant, payer_id=payer_id, **values)
        if statement is None:
            raise PayerNotFound
        return _not_reversed(statement)

    async def of_school(
        self, tenant: UUID | None, school_id: UUID, page: Page, statement_range: StatementRange
    ) -> StatementDocument:
        """Return what a school is owed, with every student and a page of the invoices.

        Raises SchoolNotFound, and ReversedPeriod if the period begins after today and has no end.
        """
        values: dict[str, Any] = {"tenant": tenant, "school_id": school_id}
        values |= {"after": page.after, "limit": page.limit, "offset": page.offset}
        if statement_range.is_now:
            statement = await self._reader.one_or_none(SCHOOL, **values)
        else:
            statement = await self._reader.one_or_none(SCHOOL_AS_OF, **values, **asdict(statement_range))
        if statement is None:
            raise SchoolNotFound
        return _not_reversed(statement)

    def lines_of_school(
        self, tenant: UUID | None, school_id: UUID, as_of: Moment | None
    ) -> AsyncGenerator[list[ExportedRow]]:
        """Yield every invoice of a school, some at a time, or none if the school is not the tenant.

        Raises DatabaseUnavailable if there is no connection, it was lost, or too many downloads are under way.
        """
        values = {"tenant": tenant, "school_id": school_id}
        if as_of is None:
            return self._reader.stream(SCHOOL_LINES, school_id, **values)
        return self._reader.stream(SCHOOL_LINES_AS_OF, school_id, **values, as_of=as_of.instant, as_of_date=as_of.day)

    async def debtors(
        self,
        tenant: UUID | None,
        school_id: UUID,
        page: DebtorsPage | None,
        filters: DebtorFilters,
        by: DebtorsBy,
    ) -> DebtorsDocument:
        """Return a page of a school's debtors, or without a page all of them; raises SchoolNotFound.

        The most overdue come first.
        """
        place = page or _ALL_DEBTORS
        debtors = await self._reader.one_or_none(
            DEBTORS,
            tenant=tenant,
            school_id=school_id,
            by=by.value,
            as_of=filters.as_of and filters.as_of.instant,
            as_of_date=filters.as_of and filters.as_of.day,
            limit=None if page is None else page.page.limit,
            offset=place.page.offset,
            min_overdue_days=filters.min_overdue_days,
            min_balance=filters.min_balance or Decimal(0),
            after_due_date=place.after_due_date,
            after_balance=place.after_balance,
            after_id=place.page.after,
        )
        if debtors is None:
            raise SchoolNotFound
        return debtors

    async def collections(
        self, tenant: UUID | None, school_id: UUID, starts_on: date | None, ends_on: date | None, by: CollectionsBy
    ) -> CollectionsDocument:
        """Return what a school invoiced and collected in a period, by its parts or by method.

        Raises SchoolNotFound, ReversedPeriod, and InvalidParameter if there would be too many rows.
        """
        require_order(starts_on, ends_on)
        collections = await self._reader.one_or_none(
            COLLECTIONS,
            tenant=tenant,
            school_id=school_id,
            starts_on=starts_on,
            ends_on=ends_on,
            step=by.value,
            most=ROWS_MOST,
        )
        if collections is None:
            raise SchoolNotFound
        _require_past_start(collections)
        if collections.rows_count > ROWS_MOST:
            rule = f"makes {collections.rows_count} rows, more than {ROWS_MOST}: use longer parts or a shorter period"
            raise InvalidParameter(FieldError("by", rule))
        return collections

    async def forecast(self, tenant: UUID | None, school_id: UUID, months: int) -> str:
        """Return what falls due at a school in the next months. SchoolNotFound if there is no such school."""
        forecast = await self._reader.one_or_none(FORECAST, tenant=tenant, school_id=school_id, months=months)
        if forecast is None:
            raise SchoolNotFound
        return forecast

    async def roll_forward(
        self, tenant: UUID | None, school_id: UUID, starts_on: date | None, ends_on: date | None
    ) -> RollForwardDocument:
        """Return how the balance of a school came about in a period; raises SchoolNotFound and ReversedPeriod."""
        require_order(starts_on, ends_on)
        found = await self._reader.one_or_none(
            ROLL_FORWARD, tenant=tenant, school_id=school_id, starts_on=starts_on, ends_on=ends_on
        )
        if found is None:
            raise SchoolNotFound
        _require_past_start(found)
        return found


def _require_past_start(found: CollectionsDocument | RollForwardDocument) -> None:
    """Refuse a period without an end that begins after today: only the database knows the school's today."""
    if found.starts_on > found.ends_on:
        raise ReversedPeriod(f"({found.starts_on}) must not be later than today ({found.ends_on})")


def _not_reversed(statement: StatementDocument) -> StatementDocument:
    """Refuse an empty document: only the database knows whether a period begins after the school's today."""
    if not (statement.document or statement.content):
        raise ReversedPeriod("is in the future, so it needs a to")
    return statement
