"""Statements, each computed and rendered by one SQL statement."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from school_billing.database.pool import Database
from school_billing.database.sql import Query
from school_billing.schools.repository import SchoolNotFound
from school_billing.statements.contracts import (
    StatementDocument,
)
from school_billing.statements.parameters import Asked, ReversedPeriod
from school_billing.students.repository import StudentNotFound
from school_billing.web.pages import Page

_ASKED: dict[str, Any] = {
    "as_of": datetime | None,
    "as_of_date": date | None,
    "starts_on": date | None,
    "ends_on": date | None,
}
_PAGE: dict[str, Any] = {"limit": int, "offset": int}

STUDENT = Query("statements/student", StatementDocument, tenant=UUID | None, student_id=UUID)
STUDENT_AS_OF = Query("statements/student_as_of", StatementDocument, tenant=UUID | None, student_id=UUID, **_ASKED)
SCHOOL = Query("statements/school", StatementDocument, tenant=UUID | None, school_id=UUID, after=UUID, **_PAGE)
SCHOOL_AS_OF = Query(
    "statements/school_as_of", StatementDocument, tenant=UUID | None, school_id=UUID, after=UUID, **_PAGE, **_ASKED
)


class Statements:
    """Statements; `tenant` is the school that the caller is bound to, None for all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_student(self, tenant: UUID | None, student_id: UUID, asked: Asked) -> StatementDocument:
        """Return what a student owes, with every invoice, and with the entries of the period if one is asked for.

        Raises:
            StudentNotFound: There is none of that id, or it is another school's.
            ReversedPeriod: The period begins after today and has no end.
        """
        if asked.is_now:
            statement = await self._database.one(STUDENT, tenant=tenant, student_id=student_id)
        else:
            statement = await self._database.one(STUDENT_AS_OF, tenant=tenant, student_id=student_id, **_values(asked))
        if statement is None:
            raise StudentNotFound
        return _not_reversed(statement)

    async def of_school(self, tenant: UUID | None, school_id: UUID, page: Page, asked: Asked) -> StatementDocument:
        """Return what a school is owed, with every student and a page of the invoices.

        Raises:
            SchoolNotFound: There is none of that id, or it is another's.
            ReversedPeriod: The period begins after today and has no end.
        """
        part = {"school_id": school_id, "after": page.after, "limit": page.limit, "offset": page.offset}
        if asked.is_now:
            statement = await self._database.one(SCHOOL, tenant=tenant, **part)
        else:
            statement = await self._database.one(SCHOOL_AS_OF, tenant=tenant, **part, **_values(asked))
        if statement is None:
            raise SchoolNotFound
        return _not_reversed(statement)


def _values(asked: Asked) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in _ASKED}


def _not_reversed(statement: StatementDocument) -> StatementDocument:
    """Return the statement, unless it is none: only the database knows whether a day is after the school's today."""
    if not statement.document:
        raise ReversedPeriod("This day lies in the future; a period that begins there needs a to")
    return statement
