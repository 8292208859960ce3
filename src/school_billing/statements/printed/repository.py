"""Printable statements: the statement, the names that are not in it, and the words of a language."""

import asyncio
from uuid import UUID

from litestar.di import NamedDependency
from msgspec import Raw, Struct, json

from school_billing.invoices.repository import Invoices
from school_billing.payers.contracts import Payer, PaymentReference
from school_billing.payers.repository import Payers
from school_billing.platform.web.pages import first_page
from school_billing.schools.repository import Schools
from school_billing.statements.contracts import StatementDocument
from school_billing.statements.parameters import (
    AcceptLanguage,
    AsOf,
    From,
    Lang,
    StatementRange,
    To,
    provide_statement_range,
)
from school_billing.statements.printed.language import Language, accepted_language
from school_billing.statements.printed.printable import PrintableStatement, printable_statement
from school_billing.statements.printed.renderers import TooLongToPrint
from school_billing.statements.repository import Statements
from school_billing.students.contracts import Student
from school_billing.students.repository import Students

# A printed statement lists what each student owes, and no invoices.
_ONE_INVOICE = first_page(1)


class PrintableStatements(Struct, frozen=True):
    """The printable statements of one request; `tenant` is the school that the caller is bound to, None for all."""

    statement_range: StatementRange
    language: Language
    statements: Statements
    students: Students
    payers: Payers
    schools: Schools
    invoices: Invoices

    async def of_student(self, tenant: UUID | None, student_id: UUID, rows_most: int) -> PrintableStatement:
        """Return the statement of a student; raises like Statements.of_student, and TooLongToPrint."""
        statement = await self.statements.of_student(tenant, student_id, self.statement_range)
        student = await self.students.get(tenant, student_id)
        payers = await self.payers.of_student(tenant, student_id)
        # Of several payers, each pays by a reference of his own.
        reference = payers[0].payment_reference if len(payers) == 1 else None
        return await self._printable(tenant, statement, student.school_id, student, reference, rows_most)

    async def of_payer(self, tenant: UUID | None, payer_id: UUID, rows_most: int) -> PrintableStatement:
        """Return the statement of a payer; raises like Statements.of_payer, and TooLongToPrint."""
        statement = await self.statements.of_payer(tenant, payer_id, self.statement_range)
        payer = await self.payers.get(tenant, payer_id)
        return await self._printable(tenant, statement, payer.school_id, payer, payer.payment_reference, rows_most)

    async def of_school(self, tenant: UUID | None, school_id: UUID, rows_most: int) -> PrintableStatement:
        """Return the statement of a school; raises like Statements.of_school, and TooLongToPrint."""
        statement = await self.statements.of_school(tenant, school_id, _ONE_INVOICE, self.statement_range)
        return await self._printable(tenant, statement, school_id, None, None, rows_most)

    async def _printable(
        self,
        tenant: UUID | None,
        statement: StatementDocument,
        school_id: UUID,
        owner: Student | Payer | None,
        reference: PaymentReference | None,
        rows_most: int,
    ) -> PrintableStatement:
        # Thousands of lines take a while, so they are counted and formatted in a thread.
        invoice_ids = await asyncio.to_thread(_invoices_of, statement, rows_most)
        lines = await self.invoices.lines(tenant, invoice_ids) if owner is not None and invoice_ids else {}
        school = await self.schools.get(tenant, school_id)
        return await asyncio.to_thread(
            printable_statement,
            statement.content,
            school,
            owner,
            reference,
            lines,
            self.statement_range,
            self.language,
        )


class _Invoice(Struct, frozen=True):
    id: UUID


class _Rows(Struct, frozen=True):
    """The lists of a statement, whose items are only counted."""

    students: list[Raw] = []
    invoices: list[_Invoice] = []
    entries: list[Raw] = []


def _invoices_of(statement: StatementDocument, most: int) -> list[UUID]:
    """Return the ids of the invoices. TooLongToPrint if a list of the statement has more than `most` rows."""
    rows = json.decode(statement.content, type=_Rows)
    if max(len(rows.students), len(rows.invoices), len(rows.entries)) > most:
        raise TooLongToPrint
    return [invoice.id for invoice in rows.invoices]


async def provide_printable_statements(
    statements: NamedDependency[Statements],
    students: NamedDependency[Students],
    payers: NamedDependency[Payers],
    schools: NamedDependency[Schools],
    invoices: NamedDependency[Invoices],
    as_of: AsOf = None,
    from_: From = None,
    to: To = None,
    lang: Lang = None,
    accept_language: AcceptLanguage = None,
) -> PrintableStatements:
    """Provide the printable statements of a request; its language is `lang`, else the one that a browser sends.

    Raises:
        InvalidParameter: as_of comes with a period.
        ReversedPeriod: from is after to.
    """
    language = lang or accepted_language(accept_language or "")
    statement_range = provide_statement_range(as_of, from_, to)
    return PrintableStatements(statement_range, language, statements, students, payers, schools, invoices)
