"""Statements, each computed and rendered by one SQL statement."""

from uuid import UUID

from school_billing.database.pool import Database
from school_billing.database.sql import Query
from school_billing.schools.repository import SchoolNotFound
from school_billing.statements.contracts import StatementDocument
from school_billing.students.repository import StudentNotFound
from school_billing.web.pages import Page

STUDENT = Query("statements/student", StatementDocument, tenant=UUID | None, student_id=UUID)
SCHOOL = Query(
    "statements/school",
    StatementDocument,
    tenant=UUID | None,
    school_id=UUID,
    after=UUID,
    limit=int,
    offset=int,
)


class Statements:
    """Statements; `tenant` is the school that the caller is bound to, None for all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_student(self, tenant: UUID | None, student_id: UUID) -> StatementDocument:
        """Return what a student owes, with every invoice.

        Raises:
            StudentNotFound: There is none of that id, or it is another school's.
        """
        statement = await self._database.one(STUDENT, tenant=tenant, student_id=student_id)
        if statement is None:
            raise StudentNotFound
        return statement

    async def of_school(self, tenant: UUID | None, school_id: UUID, page: Page) -> StatementDocument:
        """Return what a school is owed, with every student and a page of the invoices.

        Raises:
            SchoolNotFound: There is none of that id, or it is another's.
        """
        statement = await self._database.one(
            SCHOOL,
            tenant=tenant,
            school_id=school_id,
            after=page.after,
            limit=page.limit,
            offset=page.offset,
        )
        if statement is None:
            raise SchoolNotFound
        return statement
