"""/receipts/{id}.html and .pdf: the paper that a payer gets for the money."""

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
from school_billing.payers.repository import Payers
from school_billing.platform.web.requests import AnyRequest
from school_billing.platform.web.responses import WithETag
from school_billing.receipts.errors import ReceiptNotFound
from school_billing.receipts.repository import Receipts
from school_billing.schools.repository import Schools
from school_billing.statements.controller import DOCUMENT, PAGE, document_of, page_of
from school_billing.statements.parameters import AcceptLanguage, Lang, Paper, PaperSize
from school_billing.statements.printed.language import Language, accepted_language, language_of_paper
from school_billing.statements.printed.printable import PrintableStatement
from school_billing.statements.printed.receipts import printable_receipt
from school_billing.statements.printed.renderers import (
    HTML_ROWS_MOST,
    PDF_ROWS_MOST,
    PrintingBusy,
    PrintQueue,
    TooLongToPrint,
)


class PrintableReceipts(Struct, frozen=True):
    """The printable receipts of one request, in the language of `lang`, else of the payer, else of the client."""

    lang: Language | None
    of_client: Language
    receipts: Receipts
    payers: Payers
    schools: Schools

    async def get(self, tenant: Tenant, receipt_id: UUID, rows_most: int) -> PrintableStatement:
        """Return a receipt. ReceiptNotFound, or TooLongToPrint if it was allocated more than `rows_most` times."""
        receipt = await self.receipts.get(tenant, receipt_id)
        if len(receipt.allocations) > rows_most:
            raise TooLongToPrint
        school = await self.schools.get(tenant, receipt.school_id)
        payer = None if receipt.payer_id is None else await self.payers.get(tenant, receipt.payer_id)
        language = language_of_paper(self.lang, payer.language if payer else None, self.of_client)
        reference = payer.payment_reference if payer else None
        return await asyncio.to_thread(printable_receipt, receipt, school, reference, language)


async def provide_printable_receipts(
    receipts: NamedDependency[Receipts],
    payers: NamedDependency[Payers],
    schools: NamedDependency[Schools],
    lang: Lang = None,
    accept_language: AcceptLanguage = None,
) -> PrintableReceipts:
    """Provide the printable receipts of a request."""
    return PrintableReceipts(lang, accepted_language(accept_language or ""), receipts, payers, schools)


Id: TypeAlias = FromPath[UUID]
Printables: TypeAlias = NamedDependency[PrintableReceipts]


class ReceiptPaperController(Controller):
    """Receipts on paper."""

    path = "/"
    tags = ("receipts",)
    opt = {"access": READERS}
    dependencies = {"printables": Provide(provide_printable_receipts)}

    @get(
        "/receipts/{receipt_id:str}/.html",
        summary="Get a receipt as a page",
        responses=PAGE,
        errors=(ReceiptNotFound, TooLongToPrint, PrintingBusy),
    )
    async def get_receipt_html(
        self,
        request: AnyRequest,
        receipt_id: Id,
        printables: Printables,
        print_queue: NamedDependency[PrintQueue],
        caller: NamedDependency[Caller],
    ) -> WithETag[bytes]:
        """Return the receipt as a page that prints well, with every child and invoice that it pays."""
        reading = partial(printables.get, caller.tenant, receipt_id, HTML_ROWS_MOST)
        return await print_queue.run(request, caller, partial(page_of, reading))

    @get(
        "/receipts/{receipt_id:str}/.pdf",
        summary="Get a receipt as a PDF document",
        responses=DOCUMENT,
        errors=(ReceiptNotFound, TooLongToPrint, PrintingBusy),
    )
    async def get_receipt_pdf(
        self,
        request: AnyRequest,
        receipt_id: Id,
        printables: Printables,
        print_queue: NamedDependency[PrintQueue],
        caller: NamedDependency[Caller],
        paper: Paper = PaperSize.A4,
    ) -> WithETag[bytes]:
        """Return the receipt for paper, with every child and invoice that it pays."""
        reading = partial(printables.get, caller.tenant, receipt_id, PDF_ROWS_MOST)
        return await print_queue.run(request, caller, partial(document_of, request, paper, reading, "receipt"))
