"""The statements of a student and of a school."""

from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath

from school_billing.auth.contracts import Caller
from school_billing.auth.guards import READERS
from school_billing.statements.contracts import SchoolStatement, StudentStatement
from school_billing.statements.repository import Statements
from school_billing.web.pages import Page
from school_billing.web.responses import Tagged, json_document


class StatementController(Controller):
    """Who owes what, and how it came to that."""

    path = "/"
    tags = ("statements",)

    @get(
        "/students/{student_id:str}/statement",
        access=READERS,
        summary="Get a student's statement",
        responses={200: ResponseSpec(StudentStatement, generate_examples=False)},
    )
    async def get_student_statement(
        self,
        student_id: FromPath[UUID],
        statements: NamedDependency[Statements],
        caller: NamedDependency[Caller],
    ) -> Tagged[bytes]:
        """Return the totals over all of a student's invoices, and the invoices."""
        statement = await statements.of_student(caller.tenant, student_id)
        return json_document(statement.document)

    @get(
        "/schools/{school_id:str}/statement",
        access=READERS,
        summary="Get a school's statement",
        responses={200: ResponseSpec(SchoolStatement, generate_examples=False)},
    )
    async def get_school_statement(
        self,
        school_id: FromPath[UUID],
        page: NamedDependency[Page],
        statements: NamedDependency[Statements],
        caller: NamedDependency[Caller],
    ) -> Tagged[bytes]:
        """Return the totals over all invoices of a school and of each student, and a page of the invoices.

        The totals never depend on the page: limit, offset and cursor choose among the invoices only.
        """
        statement = await statements.of_school(caller.tenant, school_id, page)
        return json_document(statement.document, page.link(statement.next_after))
