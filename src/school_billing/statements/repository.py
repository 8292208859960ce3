"""Statements, each computed and rendered by one SQL statement."""

from collections.abc import AsyncGenerator
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from school_billing.platform.database.sql import Query
from school_billing.platform.web.errors import FieldError, InvalidParameter
from school_billing.platform.web.pages import Page
from school_billing.platform.web.types import Moment
from school_billing.schools.errors import SchoolNotFound
from school_billing.statements.cache import StatementCache
from school_billing.statements.contracts import (
    CollectionsBy,
    CollectionsDocument,
    DebtorsDocument,
    ExportedRow,
    StatementDocument,
)
from school_billing.statements.parameters import DebtorsPage, Period, ReversedPeriod, StatementRange
from school_billing.statements.source import StatementSource
from school_billing.students.errors import StudentNotFound

ROWS_MOST = 3660
"""The most rows of collections: ten years of days."""

_RANGE: dict[str, Any] = {
    "as_of": datetime | None,
    "as_of_date": date | None,
    "starts_on": date | None,
    "ends_on": date | None,
}
_PAGE: dict[str, Any] = {"limit": int, "offset": int}

STUDENT = Query("statements/student", StatementDocument, tenant=UUID | None, student_id=UUID)
STUDENT_AS_OF = Query("statements/student_as_of", StatementDocument, tenant=UUID | None, student_id=UUID, **_RANGE)
SCHOOL = Query("statements/school", StatementDocument, tenant=UUID | None, school_id=UUID, after=UUID, **_PAGE)
SCHOOL_AS_OF = Query(
    "statements/school_as_of", StatementDocument, tenant=UUID | None, school_id=UUID, after=UUID, **_PAGE, **_RANGE
)
DEBTORS = Query(
    "statements/debtors",
    DebtorsDocument,
    tenant=UUID | None,
    school_id=UUID,
    min_overdue_days=int,
    min_balance=Decimal,
    after_due_date=date,
    after_balance=Decimal,
    after_id=UUID,
    **_PAGE,
)
COLLECTIONS = Query(
    "statements/collections",
    CollectionsDocument,
    tenant=UUID | None,
    school_id=UUID,
    starts_on=date | None,
    ends_on=date | None,
    step=str,
    most=int,
)
SCHOOL_LINES = Query("statements/school_lines", ExportedRow, tenant=UUID | None, school_id=UUID)
SCHOOL_LINES_AS_OF = Query(
    "statements/school_lines_as_of",
    ExportedRow,
    tenant=UUID | None,
    school_id=UUID,
    as_of=datetime | None,
    as_of_date=date | None,
)


class Statements:
    """Statements, kept ones if there is a cache; `tenant` is the school that the caller is bound to, None for all."""

    def __init__(self, source: StatementSource, cache: StatementCache | None = None) -> None:
        self._source = source
        self._cache = cache

    async def of_student(
        self, tenant: UUID | None, student_id: UUID, statement_range: StatementRange
    ) -> StatementDocument:
        """Return what a student owes, with every invoice, and with the entries of the period if one is asked for.

        Raises:
            StudentNotFound: There is none of that id, or it is another school's.
            ReversedPeriod: The period begins after today and has no end.
        """
        subject = {"tenant": tenant, "student_id": student_id}
        if statement_range.is_now:
            statement = await self._kept(STUDENT, subject, {})
        else:
            statement = await self._kept(STUDENT_AS_OF, subject, _values(statement_range))
        if statement is None:
            raise StudentNotFound
        return _not_reversed(statement)

    async def of_school(
        self, tenant: UUID | None, school_id: UUID, page: Page, statement_range: StatementRange
    ) -> StatementDocument:
        """Return what a school is owed, with every student and a page of the invoices.

        Raises:
            SchoolNotFound: There is none of that id, or it is another's.
            ReversedPeriod: The period begins after today and has no end.
        """
        subject = {"tenant": tenant, "school_id": school_id}
        part = {"after": page.after, "limit": page.limit, "offset": page.offset}
        if statement_range.is_now:
            statement = await self._kept(SCHOOL, subject, part)
        else:
            statement = await self._kept(SCHOOL_AS_OF, subject, part | _values(statement_range))
        if statement is None:
            raise SchoolNotFound
        return _not_reversed(statement)

    async def _kept(
        self,
        query: Query[StatementDocument],
        subject: dict[str, UUID | None],
        wanted: dict[str, Any],
    ) -> StatementDocument | None:
        """Return the statement that is kept of this version, or the one that `query` computes."""
        # Instants are too many to be asked for twice.
        if self._cache is None or wanted.get("as_of") is not None:
            return await self._source.one_or_none(query, subject, wanted)
        version = await self._source.version(subject)
        if version is None:
            return None
        # Computed after its version was read, a statement may tell of a change more than its key says, never of less.
        subject_id = next(str(identifier) for name, identifier in subject.items() if name != "tenant")
        parameters = ",".join(f"{name}={value}" for name, value in wanted.items() if value is not None)
        key = f"{query.name.replace('statements/', 'statement:')}:{subject_id}:{version}:{parameters}"
        statement = await self._cache.get(key)
        if statement is None:
            statement = await self._source.one_or_none(query, subject, wanted, version)
            if statement is not None and statement.document:
                await self._cache.put(key, statement)
        return statement

    def lines_of_school(
        self, tenant: UUID | None, school_id: UUID, as_of: Moment | None
    ) -> AsyncGenerator[list[ExportedRow]]:
        """Yield every invoice of a school, however many, a thousand at a time; none where it is another's.

        Raises:
            DatabaseUnavailable: There is no connection to be had, it was lost, or too many downloads are under way.
        """
        subject = {"tenant": tenant, "school_id": school_id}
        if as_of is None:
            return self._source.stream(SCHOOL_LINES, school_id, subject, {})
        wanted = {"as_of": as_of.instant, "as_of_date": as_of.day}
        return self._source.stream(SCHOOL_LINES_AS_OF, school_id, subject, wanted)

    async def debtors(
        self,
        tenant: UUID | None,
        school_id: UUID,
        page: DebtorsPage,
        min_overdue_days: int,
        min_balance: Decimal | None,
    ) -> DebtorsDocument:
        """Return a page of the students of a school who owe, the most overdue first.

        Raises:
            SchoolNotFound: There is none of that id, or it is another's.
        """
        wanted = {
            "min_overdue_days": min_overdue_days,
            "min_balance": min_balance or Decimal(0),
            "after_due_date": page.after_due_date,
            "after_balance": page.after_balance,
            "after_id": page.page.after,
            "limit": page.page.limit,
            "offset": page.page.offset,
        }
        debtors = await self._source.one_or_none(DEBTORS, {"tenant": tenant, "school_id": school_id}, wanted)
        if debtors is None:
            raise SchoolNotFound
        return debtors

    async def collections(
        self, tenant: UUID | None, school_id: UUID, period: Period, by: CollectionsBy
    ) -> CollectionsDocument:
        """Return what a school invoiced and collected in a period, by its parts or by method.

        Raises:
            SchoolNotFound: There is none of that id, or it is another's.
            ReversedPeriod: The period begins after today and has no end.
            InvalidParameter: There would be too many rows.
        """
        subject = {"tenant": tenant, "school_id": school_id}
        wanted = {"starts_on": period.starts_on, "ends_on": period.ends_on, "most": ROWS_MOST}
        collections = await self._source.one_or_none(COLLECTIONS, subject, wanted | {"step": by.value})
        if collections is None:
            raise SchoolNotFound
        if collections.starts_on > collections.ends_on:
            raise ReversedPeriod(f"{collections.starts_on} lies after today, {collections.ends_on}")
        if collections.rows_count > ROWS_MOST:
            message = f"{collections.rows_count} rows are more than {ROWS_MOST}: take longer parts, or a shorter period"
            raise InvalidParameter(f"by: {message}.", [FieldError("by", message)])
        return collections


def _values(statement_range: StatementRange) -> dict[str, Any]:
    return {name: getattr(statement_range, name) for name in _RANGE}


def _not_reversed(statement: StatementDocument) -> StatementDocument:
    """Return the statement, unless it is none: only the database knows whether a day is after the school's today."""
    if not statement.document:
        raise ReversedPeriod("This day lies in the future; a period that begins there needs a to")
    return statement
