"""/invoices/{id}.html and .pdf: the invoice as the paper that a payer gets."""

import asyncio
from functools import partial
from typing import TypeAlias
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath
from msgspec import Struct

from school_billing.auth.contracts import Caller, Tenant
from school_billing.auth.guards import READERS
from school_billing.invoices.errors import InvoiceNotFound
from school_billing.invoices.repository import Invoices
from school_billing.payers.repository import Payers
from school_billing.platform.web.requests import AnyRequest
from school_billing.platform.web.responses import WithETag
from school_billing.schools.repository import Schools
from school_billing.statements.controller import DOCUMENT, PAGE, document_of, page_of
from school_billing.statements.parameters import AcceptLanguage, Lang, Paper, PaperSize
from school_billing.statements.printed.invoices import printable_invoice
from school_billing.statements.printed.language import Language, accepted_language, language_of_paper
from school_billing.statements.printed.printable import PrintableStatement
from school_billing.statements.printed.renderers import PrintingBusy, PrintQueue, TooLongToPrint
from school_billing.students.repository import Students


class PrintableInvoices(Struct, frozen=True):
    """The printable invoices of one request, in the language of `lang`, else of the payer, else of the client."""

    lang: Language | None
    of_client: Language
    invoices: Invoices
    students: Students
    payers: Payers
    schools: Schools

    async def get(self, tenant: Tenant, invoice_id: UUID) -> PrintableStatement:
        """Return an invoice. InvoiceNotFound if there is none."""
        invoice = await self.invoices.get(tenant, invoice_id)
        school = await self.schools.get(tenant, invoice.school_id)
        student = await self.students.get(tenant, invoice.student_id)
        payer = None if invoice.payer_id is None else await self.payers.get(tenant, invoice.payer_id)
        language = language_of_paper(self.lang, payer.language if payer else None, self.of_client)
        return await asyncio.to_thread(printable_invoice, invoice, school, student, payer, language)


async def provide_printable_invoices(
    invoices: NamedDependency[Invoices],
    students: NamedDependency[Students],
    payers: NamedDependency[Payers],
    schools: NamedDependency[Schools],
    lang: Lang = None,
    accept_language: AcceptLanguage = None,
) -> PrintableInvoices:
    """Provide the printable invoices of a request."""
    return PrintableInvoices(lang, accepted_language(accept_language or ""), invoices, students, payers, schools)


Id: TypeAlias = FromPath[UUID]
Printables: TypeAlias = NamedDependency[PrintableInvoices]


class InvoicePaperController(Controller):
    """Invoices on paper."""

    path = "/"
    tags = ("invoices",)
    opt = {"access": READERS}
    dependencies = {"printables": Provide(provide_printable_invoices)}

    @get(
        "/invoices/{invoice_id:str}/.html",
        summary="Get an invoice as a page",
        responses=PAGE,
        errors=(InvoiceNotFound, PrintingBusy),
    )
    async def get_invoice_html(
        self,
        request: AnyRequest,
        invoice_id: Id,
        printables: Printables,
        print_queue: NamedDependency[PrintQueue],
        caller: NamedDependency[Caller],
    ) -> WithETag[bytes]:
        """Return the invoice as a page that prints well: its lines, what is paid of it, and how to pay the rest."""
        reading = partial(printables.get, caller.tenant, invoice_id)
        return await print_queue.run(request, caller, partial(page_of, reading))

    @get(
        "/invoices/{invoice_id:str}/.pdf",
        summary="Get an invoice as a PDF document",
        responses=DOCUMENT,
        errors=(InvoiceNotFound, TooLongToPrint, PrintingBusy),
    )
    async def get_invoice_pdf(
        self,
        request: AnyRequest,
        invoice_id: Id,
        printables: Printables,
        print_queue: NamedDependency[PrintQueue],
        caller: NamedDependency[Caller],
        paper: Paper = PaperSize.A4,
    ) -> WithETag[bytes]:
        """Return the invoice for paper: its lines, what is paid of it, and how to pay the rest."""
        reading = partial(printables.get, caller.tenant, invoice_id)
        return await print_queue.run(request, caller, partial(document_of, request, paper, reading, "invoice"))
