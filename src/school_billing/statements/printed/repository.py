"""What a printed statement is made of: the statement, and the names that are not in it."""

from uuid import UUID

from msgspec import Struct

from school_billing.platform.database.pool import Database
from school_billing.platform.web.json_body import exact_decoder
from school_billing.platform.web.pages import NIL, Page
from school_billing.platform.web.spreadsheets import attachment
from school_billing.schools.contracts import School
from school_billing.schools.repository import Schools
from school_billing.statements.contracts import SchoolStatement, StudentStatement
from school_billing.statements.parameters import StatementRange
from school_billing.statements.printed.language import Language
from school_billing.statements.printed.printable import (
    PrintableStatement,
    printable_school_statement,
    printable_student_statement,
)
from school_billing.statements.printed.rows import student_rows
from school_billing.statements.repository import Statements
from school_billing.students.contracts import Student
from school_billing.students.repository import Students

# What each student owes is printed, and of the page of invoices nothing.
_SHORTEST = Page(limit=1, offset=0, after=NIL, path="", query=())


class StudentAccount(Struct, frozen=True):
    """A student's statement as the database rendered it, and whose it is.

    Reading and writing thousands of lines takes a while, so the methods are for a thread.
    """

    document: str
    statement_range: StatementRange
    student: Student
    school: School

    def printable(self, language: Language) -> PrintableStatement:
        """Write the statement for paper."""
        return printable_student_statement(self._statement(), self.student, self.school, self.statement_range, language)

    def rows(self) -> tuple[bytes, dict[str, str]]:
        """Write the lines for a spreadsheet, and the header that names the file."""
        statement = self._statement()
        header = attachment("statement", self.student.full_name, statement.as_of_date, extension="csv")
        return student_rows(statement), header

    def _statement(self) -> StudentStatement:
        statement: StudentStatement = exact_decoder(StudentStatement).decode(self.document)
        return statement


class SchoolAccounts(Struct, frozen=True):
    """A school's statement as the database rendered it, and whose it is."""

    document: str
    statement_range: StatementRange
    school: School

    def printable(self, language: Language) -> PrintableStatement:
        """Write the statement for paper; this is for a thread."""
        statement: SchoolStatement = exact_decoder(SchoolStatement).decode(self.document)
        return printable_school_statement(statement, self.school, self.statement_range, language)


class PrintedStatements:
    """Statements with their names; `tenant` is the school that the caller is bound to, None for all."""

    def __init__(self, database: Database, statements: Statements) -> None:
        self._statements = statements
        self._students = Students(database)
        self._schools = Schools(database)

    async def of_student(
        self, tenant: UUID | None, student_id: UUID, statement_range: StatementRange
    ) -> StudentAccount:
        """Return the statement of a student.

        Raises:
            StudentNotFound: There is none of that id, or it is another school's.
            ReversedPeriod: The period begins after today and has no end.
        """
        statement = await self._statements.of_student(tenant, student_id, statement_range)
        student = await self._students.get(tenant, student_id)
        return StudentAccount(
            statement.document, statement_range, student, await self._schools.get(tenant, student.school_id)
        )

    async def of_school(self, tenant: UUID | None, school_id: UUID, statement_range: StatementRange) -> SchoolAccounts:
        """Return the statement of a school.

        Raises:
            SchoolNotFound: There is none of that id, or it is another's.
            ReversedPeriod: The period begins after today and has no end.
        """
        statement = await self._statements.of_school(tenant, school_id, _SHORTEST, statement_range)
        return SchoolAccounts(statement.document, statement_range, await self._schools.get(tenant, school_id))
