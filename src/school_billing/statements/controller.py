"""The statements of a student and of a school, and what a finance office makes of them: debtors and collections."""

from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.openapi import ResponseSpec
from litestar.params import FromPath

from school_billing.auth.contracts import Caller
from school_billing.auth.guards import READERS
from school_billing.platform.web.pages import Page
from school_billing.platform.web.responses import WithETag, json_document
from school_billing.statements.contracts import (
    Collections,
    CollectionsBy,
    Debtor,
    SchoolStatement,
    StudentStatement,
)
from school_billing.statements.parameters import (
    By,
    DebtorsPage,
    MinBalance,
    MinOverdueDays,
    Period,
    StatementRange,
    provide_debtors_page,
    provide_period,
    provide_statement_range,
)
from school_billing.statements.repository import Statements


class StatementController(Controller):
    """Who owes what, and how it came to that."""

    path = "/"
    tags = ("statements",)
    dependencies = {
        "statement_range": Provide(provide_statement_range, sync_to_thread=False),
        "period": Provide(provide_period, sync_to_thread=False),
        "debtors_page": Provide(provide_debtors_page),
    }

    @get(
        "/students/{student_id:str}/statement",
        access=READERS,
        summary="Get a student's statement",
        responses={200: ResponseSpec(StudentStatement, generate_examples=False)},
    )
    async def get_student_statement(
        self,
        student_id: FromPath[UUID],
        statement_range: NamedDependency[StatementRange],
        statements: NamedDependency[Statements],
        caller: NamedDependency[Caller],
    ) -> WithETag[bytes]:
        """Return the totals over all of a student's invoices, their ageing, and the invoices.

        With from or to, a statement of account: the balances before and after the period, and each entry with the
        balance after it. With as_of, the figures as they were at that moment. Without any of them, as of now.

        An invoice counts from its issued_at on; a movement from its paid_at, but not before its invoice; a void
        from its voided_at, and from then on the invoice and its movements count for nothing.
        """
        statement = await statements.of_student(caller.tenant, student_id, statement_range)
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
        statement_range: NamedDependency[StatementRange],
        statements: NamedDependency[Statements],
        caller: NamedDependency[Caller],
    ) -> WithETag[bytes]:
        """Return the totals over all invoices of a school and of each student, and a page of the invoices.

        The totals never depend on the page: limit, offset and cursor choose among the invoices only. With from or
        to, the balances before and after the period and its sums; with as_of, the figures of that moment.
        """
        statement = await statements.of_school(caller.tenant, school_id, page, statement_range)
        return json_document(statement.document, page.link(statement.next_after))

    @get(
        "/schools/{school_id:str}/debtors",
        access=READERS,
        summary="List a school's debtors",
        responses={200: ResponseSpec(list[Debtor], generate_examples=False)},
    )
    async def list_debtors(
        self,
        school_id: FromPath[UUID],
        debtors_page: NamedDependency[DebtorsPage],
        statements: NamedDependency[Statements],
        caller: NamedDependency[Caller],
        min_overdue_days: MinOverdueDays = 0,
        min_balance: MinBalance = None,
    ) -> WithETag[bytes]:
        """List the students who owe something now, the most overdue first.

        The order is by the oldest due date that is unpaid, and where that is the same by the larger balance.
        """
        debtors = await statements.debtors(caller.tenant, school_id, debtors_page, min_overdue_days, min_balance)
        return json_document(debtors.document, debtors_page.link(debtors))

    @get(
        "/schools/{school_id:str}/collections",
        access=READERS,
        summary="Get a school's collections",
        responses={200: ResponseSpec(Collections, generate_examples=False)},
    )
    async def get_collections(
        self,
        school_id: FromPath[UUID],
        period: NamedDependency[Period],
        statements: NamedDependency[Statements],
        caller: NamedDependency[Caller],
        by: By = CollectionsBy.DAY,
    ) -> WithETag[bytes]:
        """Return what was invoiced and collected by day, week, month or method; without a period, this month to date.

        A movement stands on the day on which the money moved, and stays there when its invoice is voided; an
        invoice that is void now is left out of invoiced, whenever that was. At most 3660 rows: ten years of days.
        """
        collections = await statements.collections(caller.tenant, school_id, period, by)
        return json_document(collections.document)
