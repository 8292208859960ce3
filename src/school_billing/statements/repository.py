"""Statements, each computed and rendered by one SQL statement."""

from collections.abc import AsyncGenerator
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol, TypeVar
from uuid import UUID

from msgspec.structs import asdict

from school_billing.platform.database.sql import Query
from school_billing.platform.web.errors import FieldError, InvalidParameter
from school_billing.platform.web.pages import Page
from school_billing.schools.days import Moment
from school_billing.schools.errors import SchoolNotFound
from school_billing.statements.contracts import (
    CollectionsBy,
    CollectionsDocument,
    DebtorsDocument,
    ExportedRow,
    StatementDocument,
)
from school_billing.statements.parameters import DebtorsPage, ReversedPeriod, StatementRange, require_order
from school_billing.students.errors import StudentNotFound

Row = TypeVar("Row")

ROWS_MOST = 3660
"""The most rows of collections: ten years of days."""

_STUDENT: dict[str, Any] = {"tenant": UUID | None, "student_id": UUID}
_SCHOOL: dict[str, Any] = {"tenant": UUID | None, "school_id": UUID}
_PAGE: dict[str, Any] = {"limit": int, "offset": int}
_AS_OF: dict[str, Any] = {"as_of": datetime | None, "as_of_date": date | None}
_PERIOD: dict[str, Any] = {"starts_on": date | None, "ends_on": date | None}

STUDENT = Query("statements/student", StatementDocument, **_STUDENT)
STUDENT_AS_OF = Query("statements/student_as_of", StatementDocument, **_STUDENT, **_AS_OF, **_PERIOD)
SCHOOL = Query("statements/school", StatementDocument, **_SCHOOL, after=UUID, **_PAGE)
SCHOOL_AS_OF = Query("statements/school_as_of", StatementDocument, **_SCHOOL, after=UUID, **_PAGE, **_AS_OF, **_PERIOD)
SCHOOL_LINES = Query("statements/school_lines", ExportedRow, **_SCHOOL)
SCHOOL_LINES_AS_OF = Query("statements/school_lines_as_of", ExportedRow, **_SCHOOL, **_AS_OF)
COLLECTIONS = Query("statements/collections", CollectionsDocument, **_SCHOOL, **_PERIOD, step=str, most=int)
DEBTORS = Query(
    "statements/debtors",
    DebtorsDocument,
    **_SCHOOL,
    **_PAGE,
    min_overdue_days=int,
    min_balance=Decimal,
    after_due_date=date,
    after_balance=Decimal,
    after_id=UUID,
)


class StatementReader(Protocol):
    """What statements are read from: the Database, or a standby or a cache in front of it."""

    async def one_or_none(self, query: Query[Row], /, **values: Any) -> Row | None:
        """Return the row of a query, or None."""

    def stream(self, query: Query[Row], school_id: UUID, /, **values: Any) -> AsyncGenerator[list[Row]]:
        """Yield the rows of a query in parts, for a download of a school."""


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
        """Yield every invoice of a school, a thousand at a time, or none if the school is not the tenant.

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
        page: DebtorsPage,
        min_overdue_days: int,
        min_balance: Decimal | None,
    ) -> DebtorsDocument:
        """Return a page of the students of a school who owe, the most overdue first; raises SchoolNotFound."""
        debtors = await self._reader.one_or_none(
            DEBTORS,
            tenant=tenant,
            school_id=school_id,
            limit=page.page.limit,
            offset=page.page.offset,
            min_overdue_days=min_overdue_days,
            min_balance=min_balance or Decimal(0),
            after_due_date=page.after_due_date,
            after_balance=page.after_balance,
            after_id=page.page.after,
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
        if collections.starts_on > collections.ends_on:
            raise ReversedPeriod(f"({collections.starts_on}) lies after today ({collections.ends_on})")
        if collections.rows_count > ROWS_MOST:
            rule = f"makes {collections.rows_count} rows, more than {ROWS_MOST}: take longer parts, or a shorter period"
            raise InvalidParameter(errors=[FieldError("by", rule)])
        return collections


def _not_reversed(statement: StatementDocument) -> StatementDocument:
    """Refuse an empty document: only the database knows whether a period begins after the school's today."""
    if not statement.document:
        raise ReversedPeriod("lies in the future; a period that begins there needs a to")
    return statement
