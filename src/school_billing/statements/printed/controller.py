"""Statements on paper, in a browser and in a spreadsheet."""

import asyncio
from typing import Any
from uuid import UUID

from litestar import Controller, Request, get
from litestar.di import NamedDependency, Provide
from litestar.openapi import ResponseSpec
from litestar.params import FromPath

from school_billing.auth.contracts import Caller
from school_billing.auth.guards import READERS
from school_billing.platform.web.responses import WithETag
from school_billing.platform.web.spreadsheets import CSV_MEDIA_TYPE
from school_billing.statements.parameters import StatementRange, provide_statement_range
from school_billing.statements.printed.answers import (
    HTML_MEDIA_TYPE,
    PDF_MEDIA_TYPE,
    printed_document,
    printed_page,
    printed_rows,
)
from school_billing.statements.printed.language import Language
from school_billing.statements.printed.parameters import Paper, PaperSize, provide_language
from school_billing.statements.printed.pdf_renderer import PdfRenderer
from school_billing.statements.printed.repository import PrintedStatements

_PAGE = {200: ResponseSpec(str, media_type=HTML_MEDIA_TYPE, generate_examples=False)}
_DOCUMENT = {200: ResponseSpec(bytes, media_type=PDF_MEDIA_TYPE, generate_examples=False)}
_ROWS = {200: ResponseSpec(str, media_type=CSV_MEDIA_TYPE, generate_examples=False)}


class PrintedStatementController(Controller):
    """Statements for people to read."""

    path = "/"
    tags = ("statements",)
    dependencies = {
        "statement_range": Provide(provide_statement_range, sync_to_thread=False),
        "language": Provide(provide_language),
    }

    @get(
        "/students/{student_id:str}/statement.html",
        access=READERS,
        summary="Get a student's statement as a page",
        responses=_PAGE,
    )
    async def get_student_statement_page(
        self,
        student_id: FromPath[UUID],
        statement_range: NamedDependency[StatementRange],
        language: NamedDependency[Language],
        printed_statements: NamedDependency[PrintedStatements],
        caller: NamedDependency[Caller],
    ) -> WithETag[bytes]:
        """Return the statement as a page that prints well: the entries of the period, or without one the invoices."""
        account = await printed_statements.of_student(caller.tenant, student_id, statement_range)
        printable = await asyncio.to_thread(account.printable, language)
        return await printed_page(printable)

    @get(
        "/students/{student_id:str}/statement.pdf",
        access=READERS,
        summary="Get a student's statement as a PDF document",
        responses=_DOCUMENT,
    )
    async def get_student_statement_document(
        self,
        request: Request[Any, Any, Any],
        student_id: FromPath[UUID],
        statement_range: NamedDependency[StatementRange],
        language: NamedDependency[Language],
        printed_statements: NamedDependency[PrintedStatements],
        pdf_renderer: NamedDependency[PdfRenderer],
        caller: NamedDependency[Caller],
        paper: Paper = PaperSize.A4,
    ) -> WithETag[bytes]:
        """Return the statement for paper: the entries of the period, or without one the invoices."""
        account = await printed_statements.of_student(caller.tenant, student_id, statement_range)
        printable = await asyncio.to_thread(account.printable, language)
        return await printed_document(request, pdf_renderer, printable, paper)

    @get(
        "/students/{student_id:str}/statement.csv",
        access=READERS,
        summary="Get the lines of a student's statement as CSV",
        responses=_ROWS,
    )
    async def get_student_statement_rows(
        self,
        student_id: FromPath[UUID],
        statement_range: NamedDependency[StatementRange],
        printed_statements: NamedDependency[PrintedStatements],
        caller: NamedDependency[Caller],
    ) -> WithETag[bytes]:
        """Return the entries of the period, or without one the invoices, with the names that they have in the JSON.

        CSV by RFC 4180 in UTF-8, for spreadsheets and programs: amounts are plain decimals, days and instants
        ISO 8601. Text that a spreadsheet would take for a formula has an apostrophe before it.
        """
        account = await printed_statements.of_student(caller.tenant, student_id, statement_range)
        content, header = await asyncio.to_thread(account.rows)
        return printed_rows(content, header)

    @get(
        "/schools/{school_id:str}/statement.html",
        access=READERS,
        summary="Get a school's statement as a page",
        responses=_PAGE,
    )
    async def get_school_statement_page(
        self,
        school_id: FromPath[UUID],
        statement_range: NamedDependency[StatementRange],
        language: NamedDependency[Language],
        printed_statements: NamedDependency[PrintedStatements],
        caller: NamedDependency[Caller],
    ) -> WithETag[bytes]:
        """Return the statement as a page that prints well: what each student owes, and how long it is overdue."""
        accounts = await printed_statements.of_school(caller.tenant, school_id, statement_range)
        printable = await asyncio.to_thread(accounts.printable, language)
        return await printed_page(printable)

    @get(
        "/schools/{school_id:str}/statement.pdf",
        access=READERS,
        summary="Get a school's statement as a PDF document",
        responses=_DOCUMENT,
    )
    async def get_school_statement_document(
        self,
        request: Request[Any, Any, Any],
        school_id: FromPath[UUID],
        statement_range: NamedDependency[StatementRange],
        language: NamedDependency[Language],
        printed_statements: NamedDependency[PrintedStatements],
        pdf_renderer: NamedDependency[PdfRenderer],
        caller: NamedDependency[Caller],
        paper: Paper = PaperSize.A4,
    ) -> WithETag[bytes]:
        """Return the statement for paper: what each student owes, and how long it is overdue."""
        accounts = await printed_statements.of_school(caller.tenant, school_id, statement_range)
        printable = await asyncio.to_thread(accounts.printable, language)
        return await printed_document(request, pdf_renderer, printable, paper)
