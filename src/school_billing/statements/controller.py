"""The statements of a student, a payer and a school in every form, and two reports: debtors and collections."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import FromPath

from school_billing.auth.contracts import Caller
from school_billing.auth.guards import READERS
from school_billing.invoices.contracts import InvoiceStatus
from school_billing.payers.errors import PayerNotFound
from school_billing.payers.repository import Payers
from school_billing.platform.bounded_queue import BoundedQueue
from school_billing.platform.web.conditional import has_current
from school_billing.platform.web.json_body import exact_decoder
from school_billing.platform.web.pages import Page
from school_billing.platform.web.requests import AnyRequest, while_connected
from school_billing.platform.web.responses import WithETag, tag_of_content
from school_billing.schools.contracts import School
from school_billing.schools.days import Moment
from school_billing.schools.errors import SchoolNotFound
from school_billing.schools.repository import Schools
from school_billing.statements.contracts import (
    AccountStatement,
    Ageing,
    Collections,
    CollectionsBy,
    Debt,
    Debtor,
    DebtorsBy,
    Entry,
    ExportedLines,
    ExportedRow,
    Forecast,
    PayerStatement,
    PayingDebtor,
    PdfDocument,
    RollForward,
    RollForwardFigures,
    SchoolStatement,
    StudentStatement,
    XlsxDocument,
)
from school_billing.statements.downloads import Download, started
from school_billing.statements.parameters import (
    AsOf,
    By,
    ByDebtors,
    CollectedFrom,
    CollectedTo,
    DebtorFilters,
    DebtorsPage,
    Excel,
    Months,
    Paper,
    PaperSize,
    StatementRange,
    provide_debtor_filters,
    provide_debtors_page,
    provide_invoices_page,
    provide_statement_range,
)
from school_billing.statements.printed.printable import PrintableStatement
from school_billing.statements.printed.renderers import (
    HTML_ROWS_MOST,
    PDF_ROWS_MOST,
    Job,
    PrintingBusy,
    PrintQueue,
    TooLongToPrint,
    html_page,
    pdf_document,
)
from school_billing.statements.printed.repository import PrintableStatements, provide_printable_statements
from school_billing.statements.repository import Statements
from school_billing.statements.spreadsheets import (
    BYTE_ORDER_MARK,
    CSV_MEDIA_TYPE,
    Cell,
    attachment,
    csv_rows,
    file_words,
    inline,
)
from school_billing.statements.workbooks import XLSX_MEDIA_TYPE, TooManyRows, workbook, workbook_parts
from school_billing.students.errors import StudentNotFound
from school_billing.students.repository import Students

HTML_MEDIA_TYPE = "text/html"
PDF_MEDIA_TYPE = "application/pdf"
NDJSON_MEDIA_TYPE = "application/x-ndjson"

_AMOUNTS = {name for name in ExportedRow.__struct_fields__ if name.endswith("_total")} | {"total_amount", "balance_due"}
"""These are numbers: a minus in front of them does not begin a formula, as in somebody's text."""

_encoder = msgspec.json.Encoder()


def _answer(kind: Any, media_type: str = "application/json", example: str | None = None) -> dict[int, ResponseSpec]:
    examples = [Example(value=example)] if example else None
    return {200: ResponseSpec(kind, media_type=media_type, generate_examples=False, examples=examples)}


def rows_of(*columns: str) -> dict[int, ResponseSpec]:
    """Return the answer of a route for OpenAPI: a CSV with these columns."""
    return _answer(str, CSV_MEDIA_TYPE, csv_rows([columns]).decode())


_ENTRY_COLUMNS = (*Entry.__struct_fields__, "currency")
_INVOICE_COLUMNS = (*ExportedRow.__struct_fields__, "voided_amount", "currency")
_DEBTORS: dict[DebtorsBy, type[Debtor] | type[PayingDebtor]] = {
    DebtorsBy.STUDENT: Debtor,
    DebtorsBy.PAYER: PayingDebtor,
}


_FIGURES = tuple(name for name in RollForwardFigures.__struct_fields__ if name != "ageing")
_ROLL_FORWARD_COLUMNS = ("from", "to", *_FIGURES, *Ageing.__struct_fields__, "currency")


def _debtor_fields(kind: type[Debtor] | type[PayingDebtor]) -> list[str]:
    owed = [name for name in Debt.__struct_fields__ if name != "ageing"]
    return [*(name for name in kind.__struct_fields__ if name not in Debt.__struct_fields__), *owed]


def _debtor_columns(kind: type[Debtor] | type[PayingDebtor]) -> list[str]:
    return [*_debtor_fields(kind), *Ageing.__struct_fields__, "currency"]


PAGE = _answer(str, HTML_MEDIA_TYPE, "<!doctype html>")
DOCUMENT = _answer(PdfDocument, PDF_MEDIA_TYPE)
WORKBOOK = _answer(XlsxDocument, XLSX_MEDIA_TYPE)

# The parameters of the handlers.
Id: TypeAlias = FromPath[UUID]
ByCaller: TypeAlias = NamedDependency[Caller]
Range: TypeAlias = NamedDependency[StatementRange]
Printables: TypeAlias = NamedDependency[PrintableStatements]
FromStatements: TypeAlias = NamedDependency[Statements]
FromStudents: TypeAlias = NamedDependency[Students]
FromPayers: TypeAlias = NamedDependency[Payers]
FromSchools: TypeAlias = NamedDependency[Schools]
FromQueue: TypeAlias = NamedDependency[PrintQueue]


class StatementController(Controller):
    """Statements of account, debtors and collections."""

    path = "/"
    tags = ("statements",)
    opt = {"access": READERS}
    dependencies = {
        "statement_range": Provide(provide_statement_range, sync_to_thread=False),
        "page": Provide(provide_invoices_page),
        "debtor_filters": Provide(provide_debtor_filters),
        "debtors_page": Provide(provide_debtors_page),
        "printables": Provide(provide_printable_statements),
    }

    @get(
        "/students/{student_id:str}/statement",
        summary="Get a student's statement",
        responses=_answer(StudentStatement),
        errors=(StudentNotFound,),
    )
    async def get_student_statement(
        self, student_id: Id, statement_range: Range, statements: FromStatements, caller: ByCaller
    ) -> WithETag[bytes]:
        """Return the totals over all of a student's invoices, their ageing, and the invoices.

        With from or to, a statement of account: the balances before and after the period, and each entry with the
        balance after it. With as_of, the figures as they were at that moment. Without any of them, as of now.

        An invoice counts from its issued_at on. A payment or refund counts from its paid_at on, but not before its
        invoice. From its voided_at on, an invoice and its payments count for nothing.
        """
        statement = await statements.of_student(caller.tenant, student_id, statement_range)
        return _json(statement.content)

    @get(
        "/students/{student_id:str}/statement.html",
        summary="Get a student's statement as a page",
        responses=PAGE,
        errors=(StudentNotFound, TooLongToPrint, PrintingBusy),
    )
    async def get_student_statement_html(
        self, request: AnyRequest, student_id: Id, printables: Printables, print_queue: FromQueue, caller: ByCaller
    ) -> WithETag[bytes]:
        """Return the statement as a page that prints well: the entries of the period, or without one the invoices."""
        reading = partial(printables.of_student, caller.tenant, student_id, HTML_ROWS_MOST)
        return await print_queue.run(request, caller, partial(page_of, reading))

    @get(
        "/students/{student_id:str}/statement.pdf",
        summary="Get a student's statement as a PDF document",
        responses=DOCUMENT,
        errors=(StudentNotFound, TooLongToPrint, PrintingBusy),
    )
    async def get_student_statement_pdf(
        self,
        request: AnyRequest,
        student_id: Id,
        printables: Printables,
        print_queue: FromQueue,
        caller: ByCaller,
        paper: Paper = PaperSize.A4,
    ) -> WithETag[bytes]:
        """Return the statement for paper: the entries of the period, or without one the invoices."""
        reading = partial(printables.of_student, caller.tenant, student_id, PDF_ROWS_MOST)
        return await print_queue.run(request, caller, partial(document_of, request, paper, reading))

    @get(
        "/students/{student_id:str}/statement.csv",
        summary="Get the lines of a student's statement as CSV",
        responses=rows_of(*_ENTRY_COLUMNS),
        errors=(StudentNotFound,),
    )
    async def download_student_statement_csv(
        self,
        student_id: Id,
        statement_range: Range,
        statements: FromStatements,
        students: FromStudents,
        caller: ByCaller,
        excel: Excel = False,
    ) -> WithETag[bytes]:
        """Return the opening balance and the entries after it, of the period or else of all time.

        An amount is above zero if more is owed after it and below zero if less is owed, so the amounts add up to the
        closing balance. The first row, of kind OPENING, has the opening balance; 0.00 without a from.

        CSV by RFC 4180 in UTF-8, for spreadsheets and programs: amounts are plain decimals, days and instants
        ISO 8601. Text that a spreadsheet would take for a formula has an apostrophe before it.
        """
        statement = await statements.of_student(caller.tenant, student_id, statement_range.with_entries)
        student = await students.get(caller.tenant, student_id)
        words = file_words(student.full_name, student.id, student.external_id)
        rows = partial(_entry_rows, StudentStatement, statement.content, words, statement_range.starts_on)
        return await asyncio.to_thread(_csv, rows, excel=excel)

    @get(
        "/students/{student_id:str}/statement.xlsx",
        summary="Get the lines of a student's statement for Excel",
        responses=WORKBOOK,
        errors=(StudentNotFound, TooManyRows),
    )
    async def download_student_statement_xlsx(
        self,
        student_id: Id,
        statement_range: Range,
        statements: FromStatements,
        students: FromStudents,
        schools: FromSchools,
        caller: ByCaller,
    ) -> WithETag[bytes]:
        """Return the rows of the CSV as a workbook of Excel, with numbers and dates.

        Instants are in the time zone of the school. No text is a formula, so none has an apostrophe before it.
        """
        statement = await statements.of_student(caller.tenant, student_id, statement_range.with_entries)
        student = await students.get(caller.tenant, student_id)
        school = await schools.get(caller.tenant, student.school_id)
        words = file_words(student.full_name, student.id, student.external_id)
        rows = partial(_entry_rows, StudentStatement, statement.content, words, statement_range.starts_on)
        return await asyncio.to_thread(_xlsx, rows, school.time_zone)

    @get(
        "/payers/{payer_id:str}/statement",
        summary="Get a payer's statement",
        responses=_answer(PayerStatement),
        errors=(PayerNotFound,),
    )
    async def get_payer_statement(
        self, payer_id: Id, statement_range: Range, statements: FromStatements, caller: ByCaller
    ) -> WithETag[bytes]:
        """Return what a payer owes on the invoices of all students, and the money that pays none of them yet.

        The parameters are those of a student's statement. `balance` is what is open on the invoices less what is
        unallocated, and the same as closing_balance. The entries are invoices, receipts and what was given back of
        them, direct payments, and money that paid an invoice of another payer. What a receipt pays on an invoice of
        its own payer is no entry: the receipt has counted already.
        """
        statement = await statements.of_payer(caller.tenant, payer_id, statement_range)
        return _json(statement.content)

    @get(
        "/payers/{payer_id:str}/statement.html",
        summary="Get a payer's statement as a page",
        responses=PAGE,
        errors=(PayerNotFound, TooLongToPrint, PrintingBusy),
    )
    async def get_payer_statement_html(
        self, request: AnyRequest, payer_id: Id, printables: Printables, print_queue: FromQueue, caller: ByCaller
    ) -> WithETag[bytes]:
        """Return the statement as a page that prints well: the entries of the period, or without one the invoices."""
        reading = partial(printables.of_payer, caller.tenant, payer_id, HTML_ROWS_MOST)
        return await print_queue.run(request, caller, partial(page_of, reading))

    @get(
        "/payers/{payer_id:str}/statement.pdf",
        summary="Get a payer's statement as a PDF document",
        responses=DOCUMENT,
        errors=(PayerNotFound, TooLongToPrint, PrintingBusy),
    )
    async def get_payer_statement_pdf(
        self,
        request: AnyRequest,
        payer_id: Id,
        printables: Printables,
        print_queue: FromQueue,
        caller: ByCaller,
        paper: Paper = PaperSize.A4,
    ) -> WithETag[bytes]:
        """Return the statement for paper: the entries of the period, or without one the invoices."""
        reading = partial(printables.of_payer, caller.tenant, payer_id, PDF_ROWS_MOST)
        return await print_queue.run(request, caller, partial(document_of, request, paper, reading))

    @get(
        "/payers/{payer_id:str}/statement.csv",
        summary="Get the lines of a payer's statement as CSV",
        responses=rows_of(*_ENTRY_COLUMNS),
        errors=(PayerNotFound,),
    )
    async def download_payer_statement_csv(
        self,
        payer_id: Id,
        statement_range: Range,
        statements: FromStatements,
        payers: FromPayers,
        caller: ByCaller,
        excel: Excel = False,
    ) -> WithETag[bytes]:
        """Return the opening balance and the entries after it, with the columns of a student's CSV.

        The amounts add up to the payer's closing balance. The first row, of kind OPENING, has the opening balance.
        """
        statement = await statements.of_payer(caller.tenant, payer_id, statement_range.with_entries)
        payer = await payers.get(caller.tenant, payer_id)
        words = file_words(payer.name, payer.id, payer.external_id)
        rows = partial(_entry_rows, PayerStatement, statement.content, words, statement_range.starts_on)
        return await asyncio.to_thread(_csv, rows, excel=excel)

    @get(
        "/payers/{payer_id:str}/statement.xlsx",
        summary="Get the lines of a payer's statement for Excel",
        responses=WORKBOOK,
        errors=(PayerNotFound, TooManyRows),
    )
    async def download_payer_statement_xlsx(
        self,
        payer_id: Id,
        statement_range: Range,
        statements: FromStatements,
        payers: FromPayers,
        schools: FromSchools,
        caller: ByCaller,
    ) -> WithETag[bytes]:
        """Return the rows of the CSV as a workbook of Excel, like that of a student."""
        statement = await statements.of_payer(caller.tenant, payer_id, statement_range.with_entries)
        payer = await payers.get(caller.tenant, payer_id)
        school = await schools.get(caller.tenant, payer.school_id)
        words = file_words(payer.name, payer.id, payer.external_id)
        rows = partial(_entry_rows, PayerStatement, statement.content, words, statement_range.starts_on)
        return await asyncio.to_thread(_xlsx, rows, school.time_zone)

    @get(
        "/schools/{school_id:str}/statement",
        summary="Get a school's statement",
        responses=_answer(SchoolStatement),
        errors=(SchoolNotFound,),
    )
    async def get_school_statement(
        self,
        school_id: Id,
        page: NamedDependency[Page],
        statement_range: Range,
        statements: FromStatements,
        caller: ByCaller,
    ) -> WithETag[bytes]:
        """Return the totals over all invoices of a school and of each student, and a page of the invoices.

        The totals never depend on the page: limit, offset and cursor choose among the invoices only. With from or
        to, the balances before and after the period and its sums; with as_of, the figures of that moment. Balances are
        what is open on invoices. Money that pays none of them yet stands beside it, in the last two totals.
        """
        statement = await statements.of_school(caller.tenant, school_id, page, statement_range)
        return _json(statement.content, page.link(statement.next_after))

    @get(
        "/schools/{school_id:str}/statement.html",
        summary="Get a school's statement as a page",
        responses=PAGE,
        errors=(SchoolNotFound, TooLongToPrint, PrintingBusy),
    )
    async def get_school_statement_html(
        self, request: AnyRequest, school_id: Id, printables: Printables, print_queue: FromQueue, caller: ByCaller
    ) -> WithETag[bytes]:
        """Return the statement as a page that prints well: what each student owes, and how long it is overdue."""
        reading = partial(printables.of_school, caller.tenant, school_id, HTML_ROWS_MOST)
        return await print_queue.run(request, caller, partial(page_of, reading))

    @get(
        "/schools/{school_id:str}/statement.pdf",
        summary="Get a school's statement as a PDF document",
        responses=DOCUMENT,
        errors=(SchoolNotFound, TooLongToPrint, PrintingBusy),
    )
    async def get_school_statement_pdf(
        self,
        request: AnyRequest,
        school_id: Id,
        printables: Printables,
        print_queue: FromQueue,
        caller: ByCaller,
        paper: Paper = PaperSize.A4,
    ) -> WithETag[bytes]:
        """Return the statement for paper: what each student owes, and how long it is overdue."""
        reading = partial(printables.of_school, caller.tenant, school_id, PDF_ROWS_MOST)
        return await print_queue.run(request, caller, partial(document_of, request, paper, reading))

    @get(
        "/schools/{school_id:str}/statement.ndjson",
        summary="Download a school's invoices as JSON lines",
        media_type=NDJSON_MEDIA_TYPE,
        responses=_answer(ExportedLines, NDJSON_MEDIA_TYPE),
        errors=(SchoolNotFound,),
    )
    async def download_school_statement_ndjson(
        self,
        request: AnyRequest,
        school_id: Id,
        statements: FromStatements,
        schools: FromSchools,
        caller: ByCaller,
        as_of: AsOf = None,
    ) -> Download:
        """Return every invoice of a school, all as of one moment, a JSON object a line, oldest first.

        However many they are, the first is there at once. An answer without its end was cut off: ask again. 503
        while too many such downloads are under way.
        """
        school = await schools.get(caller.tenant, school_id)
        lines = statements.lines_of_school(caller.tenant, school_id, as_of)
        header = attachment("invoices", *_file_words(school, as_of), extension="ndjson")
        return Download(await started(request, _as_ndjson(lines)), NDJSON_MEDIA_TYPE, header)

    @get(
        "/schools/{school_id:str}/statement.csv",
        summary="Download a school's invoices as CSV",
        media_type=CSV_MEDIA_TYPE,
        responses=rows_of(*_INVOICE_COLUMNS),
        errors=(SchoolNotFound,),
    )
    async def download_school_statement_csv(
        self,
        request: AnyRequest,
        school_id: Id,
        statements: FromStatements,
        schools: FromSchools,
        caller: ByCaller,
        as_of: AsOf = None,
        excel: Excel = False,
    ) -> Download:
        """Return every invoice of a school, all as of one moment, a row each, oldest first, below the columns' names.

        The columns add up to the totals of the statement, because a void invoice has its amount in voided_amount alone.

        CSV by RFC 4180 in UTF-8. Text that a spreadsheet would take for a formula has an apostrophe before it. However
        many they are, the first is there at once; 503 while too many such downloads are under way.
        """
        school = await schools.get(caller.tenant, school_id)
        lines = statements.lines_of_school(caller.tenant, school_id, as_of)
        header = attachment("invoices", *_file_words(school, as_of), extension="csv")
        parts = csv_parts(_INVOICE_COLUMNS, _invoice_rows(lines, school.currency), excel=excel)
        return Download(await started(request, parts), CSV_MEDIA_TYPE, header)

    @get(
        "/schools/{school_id:str}/statement.xlsx",
        summary="Download a school's invoices for Excel",
        media_type=XLSX_MEDIA_TYPE,
        responses=WORKBOOK,
        errors=(SchoolNotFound, TooManyRows, PrintingBusy),
    )
    async def download_school_statement_xlsx(
        self,
        request: AnyRequest,
        school_id: Id,
        statements: FromStatements,
        schools: FromSchools,
        workbook_queue: NamedDependency[BoundedQueue],
        caller: ByCaller,
        as_of: AsOf = None,
    ) -> Download:
        """Return the rows of the CSV as a workbook of Excel, with numbers and dates, at most 1,048,575.

        The workbook is whole before the answer begins: 60,000 invoices take some seconds. 503 while too many such
        downloads are under way.
        """
        school = await schools.get(caller.tenant, school_id)
        rows = _invoice_rows(statements.lines_of_school(caller.tenant, school_id, as_of), school.currency)
        header = attachment("invoices", *_file_words(school, as_of), extension="xlsx")
        parts = in_turn(workbook_queue, school_id, workbook_parts(_INVOICE_COLUMNS, rows, school.time_zone))
        return Download(await while_connected(request, started(request, parts)), XLSX_MEDIA_TYPE, header)

    @get(
        "/schools/{school_id:str}/debtors",
        summary="List a school's debtors",
        responses=_answer(list[Debtor | PayingDebtor]),
        errors=(SchoolNotFound,),
    )
    async def list_debtors(
        self,
        school_id: Id,
        debtors_page: NamedDependency[DebtorsPage],
        debtor_filters: NamedDependency[DebtorFilters],
        statements: FromStatements,
        caller: ByCaller,
        by: ByDebtors = DebtorsBy.STUDENT,
    ) -> WithETag[bytes]:
        """List the students or payers who owe something, now or at the moment as_of, the most overdue first.

        The order is by the oldest due date that is unpaid, and where that is the same by the larger balance.
        """
        debtors = await statements.debtors(caller.tenant, school_id, debtors_page, debtor_filters, by)
        return _json(debtors.document.encode(), debtors_page.link(debtors))

    @get(
        "/schools/{school_id:str}/debtors.csv",
        summary="Get all debtors of a school as CSV",
        responses=rows_of(*_debtor_columns(Debtor)),
        errors=(SchoolNotFound,),
    )
    async def get_debtors_rows(
        self,
        school_id: Id,
        debtor_filters: NamedDependency[DebtorFilters],
        statements: FromStatements,
        schools: FromSchools,
        caller: ByCaller,
        by: ByDebtors = DebtorsBy.STUDENT,
        excel: Excel = False,
    ) -> WithETag[bytes]:
        """Return every student or payer who owes something, a row each, in the order of the list.

        The first row has the columns' names; those of payers begin with payer_id, name, external_id and unallocated.

        CSV by RFC 4180 in UTF-8. Text that a spreadsheet would take for a formula has an apostrophe before it.
        """
        debtors = await statements.debtors(caller.tenant, school_id, None, debtor_filters, by)
        school = await schools.get(caller.tenant, school_id)
        rows = partial(_debtor_rows, by, debtors.document, school, debtor_filters.as_of)
        return await asyncio.to_thread(_csv, rows, excel=excel)

    @get(
        "/schools/{school_id:str}/debtors.xlsx",
        summary="Get all debtors of a school for Excel",
        responses=WORKBOOK,
        errors=(SchoolNotFound, TooManyRows),
    )
    async def get_debtors_workbook(
        self,
        school_id: Id,
        debtor_filters: NamedDependency[DebtorFilters],
        statements: FromStatements,
        schools: FromSchools,
        caller: ByCaller,
        by: ByDebtors = DebtorsBy.STUDENT,
    ) -> WithETag[bytes]:
        """Return the rows of the CSV as a workbook of Excel, with numbers and dates."""
        debtors = await statements.debtors(caller.tenant, school_id, None, debtor_filters, by)
        school = await schools.get(caller.tenant, school_id)
        rows = partial(_debtor_rows, by, debtors.document, school, debtor_filters.as_of)
        return await asyncio.to_thread(_xlsx, rows, school.time_zone)

    @get(
        "/schools/{school_id:str}/collections",
        summary="Get a school's collections",
        responses=_answer(Collections),
        errors=(SchoolNotFound,),
    )
    async def get_collections(
        self,
        school_id: Id,
        statements: FromStatements,
        caller: ByCaller,
        from_: CollectedFrom = None,
        to: CollectedTo = None,
        by: By = CollectionsBy.DAY,
    ) -> WithETag[bytes]:
        """Return what was invoiced and collected by day, week, month or method; without a period, this month to date.

        Money counts on the day on which it moved, even if its invoice was voided later: direct payments and receipts as
        `paid`; their refunds, and receipts that were reversed, as `refunded`. What a receipt pays on invoices moves no
        money. An invoice that is void now is not part of `invoiced`. At most 3660 rows, which is ten years of days.
        """
        collections = await statements.collections(caller.tenant, school_id, from_, to, by)
        return _json(collections.document.encode())

    @get(
        "/schools/{school_id:str}/forecast",
        summary="Get what falls due at a school",
        responses=_answer(Forecast),
        errors=(SchoolNotFound,),
    )
    async def get_forecast(
        self, school_id: Id, statements: FromStatements, caller: ByCaller, months: Months = 12
    ) -> WithETag[bytes]:
        """Return what falls due in each month, this one first, and what of it is paid. Only invoices count: no guess.

        Months are those of the school's time zone. Void invoices are left out.
        """
        return _json((await statements.forecast(caller.tenant, school_id, months)).encode())

    @get(
        "/schools/{school_id:str}/roll-forward",
        summary="Get a school's roll-forward",
        responses=_answer(RollForward),
        errors=(SchoolNotFound,),
    )
    async def get_roll_forward(
        self,
        school_id: Id,
        statements: FromStatements,
        caller: ByCaller,
        from_: CollectedFrom = None,
        to: CollectedTo = None,
    ) -> WithETag[bytes]:
        """Return how the balance of a school came about in a period; without a period, this month to date.

        opening_balance + invoiced - credited - discounted - written_off - received + refunded - voided is
        closing_balance, which is the sum of the ageing buckets less unallocated. The figures of a closed period are
        those of its closing. A payment that is dated before its invoice counts with the invoice, as on statements.
        """
        found = await statements.roll_forward(caller.tenant, school_id, from_, to)
        return _json(found.document.encode())

    @get(
        "/schools/{school_id:str}/roll-forward.csv",
        summary="Get a school's roll-forward as CSV",
        responses=rows_of(*_ROLL_FORWARD_COLUMNS),
        errors=(SchoolNotFound,),
    )
    async def get_roll_forward_row(
        self,
        school_id: Id,
        statements: FromStatements,
        schools: FromSchools,
        caller: ByCaller,
        from_: CollectedFrom = None,
        to: CollectedTo = None,
        excel: Excel = False,
    ) -> WithETag[bytes]:
        """Return the figures as one row, below the columns' names. CSV by RFC 4180 in UTF-8."""
        found = await statements.roll_forward(caller.tenant, school_id, from_, to)
        school = await schools.get(caller.tenant, school_id)
        return _csv(partial(_roll_forward_row, found.document, school), excel=excel)

    @get(
        "/schools/{school_id:str}/roll-forward.xlsx",
        summary="Get a school's roll-forward for Excel",
        responses=WORKBOOK,
        errors=(SchoolNotFound,),
    )
    async def get_roll_forward_workbook(
        self,
        school_id: Id,
        statements: FromStatements,
        schools: FromSchools,
        caller: ByCaller,
        from_: CollectedFrom = None,
        to: CollectedTo = None,
    ) -> WithETag[bytes]:
        """Return the row of the CSV as a workbook of Excel, with numbers and dates."""
        found = await statements.roll_forward(caller.tenant, school_id, from_, to)
        school = await schools.get(caller.tenant, school_id)
        return await asyncio.to_thread(_xlsx, partial(_roll_forward_row, found.document, school), school.time_zone)


async def page_of(read: Callable[[], Awaitable[PrintableStatement]]) -> WithETag[bytes]:
    """Return the page."""
    printable = await read()
    content = await asyncio.to_thread(html_page, printable)
    return WithETag(content, tag_of_content(content), headers=_language_of(printable), media_type=HTML_MEDIA_TYPE)


async def document_of(
    request: AnyRequest, paper: PaperSize, read: Callable[[], Awaitable[PrintableStatement]], name: str = "statement"
) -> WithETag[bytes]:
    """Return the document, which is rendered only if the client lacks it."""
    printable = await read()
    job = Job(paper.value, printable)
    etag = job.tag
    headers = _language_of(printable)
    content = b""
    if not has_current(request, etag):
        document = await pdf_document(job)
        content = document.content
        if document.unprintable:
            headers["X-Unprintable"] = str(document.unprintable)
    headers |= inline(name, *printable.file_words, printable.day, extension="pdf")
    return WithETag(content, etag, headers=headers, media_type=PDF_MEDIA_TYPE)


def _language_of(printable: PrintableStatement) -> dict[str, str]:
    return {"Content-Language": printable.language}


def _file_words(school: School, as_of: Moment | None) -> list[str]:
    moment = (as_of and as_of.instant) or datetime.now(UTC)
    day = (as_of and as_of.day) or moment.astimezone(ZoneInfo(school.time_zone)).date()
    return [*file_words(school.name, school.id), str(day)]


class _Table(msgspec.Struct, frozen=True):
    """The rows of a spreadsheet, and the words of the file's name."""

    columns: Sequence[str]
    rows: Iterable[Sequence[Cell]]
    words: Sequence[object]


def _entry_rows(kind: type[AccountStatement], document: bytes, words: list[str], starts_on: date | None) -> _Table:
    """Return the entries of an account."""
    statement: AccountStatement = exact_decoder(kind).decode(document)
    balance: Decimal = statement.opening_balance or Decimal("0.00")
    opening: dict[str, Cell] = {"date": starts_on, "kind": "OPENING", "amount": balance, "balance": balance}
    rows: list[list[Cell]] = [[opening.get(name) for name in Entry.__struct_fields__]]
    for entry in statement.entries or ():
        change, balance = entry.balance - balance, entry.balance
        rows.append(list(msgspec.structs.astuple(msgspec.structs.replace(entry, amount=change))))
    rows = [[*row, statement.currency] for row in rows]
    return _Table(_ENTRY_COLUMNS, rows, ["statement", *words, statement.as_of_date])


def _debtor_rows(by: DebtorsBy, document: str, school: School, as_of: Moment | None) -> _Table:
    """Return debtors, with a column for each age of their debts."""
    kind = _DEBTORS[by]
    debtors: list[Debt] = exact_decoder(list[kind]).decode(document)  # type: ignore[valid-type] # a class at run time
    fields = _debtor_fields(kind)
    rows = [
        [*(getattr(debtor, name) for name in fields), *msgspec.structs.astuple(debtor.ageing), school.currency]
        for debtor in debtors
    ]
    return _Table(_debtor_columns(kind), rows, ["debtors", *_file_words(school, as_of)])


def _roll_forward_row(document: str, school: School) -> _Table:
    """Return the figures of a period."""
    figures = exact_decoder(RollForward).decode(document)
    values = [getattr(figures, name) for name in _FIGURES]
    row = [figures.from_, figures.to, *values, *msgspec.structs.astuple(figures.ageing), school.currency]
    words = ["roll-forward", *file_words(school.name, school.id), figures.from_, figures.to]
    return _Table(_ROLL_FORWARD_COLUMNS, [row], words)


def _csv(make: Callable[[], _Table], *, excel: bool) -> WithETag[bytes]:
    """Return a table as CSV. Thousands of rows take a while, so this is for a thread."""
    table = make()
    content = (BYTE_ORDER_MARK if excel else b"") + csv_rows([table.columns, *table.rows])
    return _file(content, table, "csv", CSV_MEDIA_TYPE)


def _xlsx(make: Callable[[], _Table], time_zone: str) -> WithETag[bytes]:
    """Return a table as a workbook. Thousands of rows take a while, so this is for a thread."""
    table = make()
    return _file(workbook(table.columns, table.rows, time_zone), table, "xlsx", XLSX_MEDIA_TYPE)


def _file(content: bytes, table: _Table, extension: str, media_type: str) -> WithETag[bytes]:
    name, *words = table.words
    headers = attachment(str(name), *words, extension=extension)
    return WithETag(content, tag_of_content(content), headers=headers, media_type=media_type)


async def _invoice_rows(
    lines: AsyncGenerator[list[ExportedRow]], currency: str
) -> AsyncGenerator[Iterable[Iterable[Cell]]]:
    async with aclosing(lines):
        async for part in lines:
            # A generator, so that the thread that reads it does the work.
            yield ([*_cells(line), currency] for line in part)


async def csv_parts(
    columns: Sequence[str], parts: AsyncGenerator[Iterable[Iterable[Cell]]], *, excel: bool
) -> AsyncGenerator[bytes]:
    """Yield a CSV of any length, in parts."""
    head = (BYTE_ORDER_MARK if excel else b"") + csv_rows([columns])
    async with aclosing(parts):
        async for rows in parts:
            # In a thread, so that short requests do not wait for the formatting.
            yield head + await asyncio.to_thread(csv_rows, rows)
            head = b""
    if head:
        yield head


async def in_turn(queue: BoundedQueue, key: Hashable, parts: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Yield the parts of a file that is on disk until the last one, with a place in the queue for as long."""
    async with queue.turn(key), aclosing(parts):
        async for part in parts:
            yield part


def _cells(line: ExportedRow) -> Iterator[Cell]:
    is_void = line.status == InvoiceStatus.VOID.value
    for name, value in zip(line.__struct_fields__, msgspec.structs.astuple(line), strict=True):
        if name in _AMOUNTS:
            yield None if is_void else Decimal(value)
        elif name == "issued_at":
            yield datetime.fromisoformat(value)
        else:
            yield value
    yield Decimal(line.total_amount) if is_void else None


async def _as_ndjson(lines: AsyncGenerator[list[ExportedRow]]) -> AsyncGenerator[bytes]:
    async with aclosing(lines):
        async for part in lines:
            yield _encoder.encode_lines(part)


def _json(content: bytes, headers: dict[str, str] | None = None) -> WithETag[bytes]:
    """Return a JSON document that the database rendered."""
    # The entity tag covers the headers, because a page with another Link is another page.
    etag = tag_of_content(content, *(value.encode() for value in (headers or {}).values()))
    return WithETag(content, etag, headers=headers, media_type="application/json")
