"""/receipts: sums of money that arrived, and what they pay."""

from datetime import date
from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.openapi.spec import Tag
from litestar.params import FromPath, JSONBody, QueryParameter

from school_billing.auth.contracts import Caller
from school_billing.auth.guards import ACCOUNTANTS, READERS
from school_billing.invoices.errors import InvoiceIsVoid, InvoiceWrittenOff, Overpayment, OverRefund
from school_billing.payers.errors import PayerNotFound
from school_billing.payers.repository import Payers
from school_billing.payments.contracts import Payment
from school_billing.payments.errors import PaymentNotFound
from school_billing.platform.database.pool import Database
from school_billing.platform.idempotency import IdempotencyKeyInFlight, IdempotencyKeyReused
from school_billing.platform.observability.metrics import Metrics
from school_billing.platform.rooms import Room
from school_billing.platform.web.conditional import IfMatch
from school_billing.platform.web.errors import PreconditionFailed
from school_billing.platform.web.pages import Page
from school_billing.platform.web.responses import WithETag, created, with_etag
from school_billing.receipts.contracts import (
    AllocateIn,
    ListedReceipt,
    PaymentReversal,
    Receipt,
    ReceiptFilters,
    ReceiptIn,
    ReceiptPatch,
    ReceiptRefundIn,
    ReceiptReversal,
)
from school_billing.receipts.errors import (
    CONSTRAINT_ERRORS,
    AllocationReversed,
    InvoiceNotIssued,
    NotAllocated,
    ReceiptAllocated,
    ReceiptKnown,
    ReceiptMovedLater,
    ReceiptNotFound,
    ReceiptRefunded,
    ReceiptReversed,
    ReceiptSpent,
)
from school_billing.receipts.repository import Receipts
from school_billing.schools.errors import PeriodClosed, SchoolNotFound

OfSchool = Annotated[UUID | None, QueryParameter(description="Only receipts of this school.")]
OfPayer = Annotated[UUID | None, QueryParameter(description="Only receipts of this payer.")]
WithNumber = Annotated[
    str | None, QueryParameter(max_length=50, description="Only the receipts with this number, in capitals or not.")
]
ByMethod = Annotated[str | None, QueryParameter(max_length=50, description="Only receipts by this method.")]
WithReference = Annotated[str | None, QueryParameter(max_length=255, description="Only receipts with this reference.")]
FromSource = Annotated[str | None, QueryParameter(max_length=50, description="Only receipts of this source.")]
WithExternalReference = Annotated[
    str | None, QueryParameter(max_length=255, description="Only the receipt with this number of its source.")
]
ReceivedFrom = Annotated[
    date | None, QueryParameter(description="Only receipts of this day or later, in the school's time zone.")
]
ReceivedTo = Annotated[
    date | None, QueryParameter(description="Only receipts of this day or earlier, in the school's time zone.")
]
Unallocated = Annotated[
    bool | None, QueryParameter(description="true: only receipts with unallocated money. false: only the others.")
]
Unidentified = Annotated[
    bool | None, QueryParameter(description="true: only receipts without a payer. false: only the others.")
]


async def provide_receipt_filters(
    number: WithNumber = None,
    method: ByMethod = None,
    reference: WithReference = None,
    source: FromSource = None,
    external_reference: WithExternalReference = None,
    received_from: ReceivedFrom = None,
    received_to: ReceivedTo = None,
    unallocated: Unallocated = None,
    unidentified: Unidentified = None,
) -> ReceiptFilters:
    """Read the filters of a list of receipts."""
    return ReceiptFilters(
        number, method, reference, source, external_reference, received_from, received_to, unallocated, unidentified
    )


class ReceiptController(Controller):
    """The routes of receipts."""

    path = "/"
    tags = ("receipts",)
    dependencies = {"filters": Provide(provide_receipt_filters)}

    @post(
        "/receipts",
        access=ACCOUNTANTS,
        summary="Record money that arrived",
        errors=(
            PayerNotFound,
            SchoolNotFound,
            ReceiptKnown,
            Overpayment,
            InvoiceIsVoid,
            InvoiceWrittenOff,
            InvoiceNotIssued,
            PeriodClosed,
            IdempotencyKeyReused,
            IdempotencyKeyInFlight,
        ),
    )
    async def create_receipt(
        self,
        data: JSONBody[ReceiptIn],
        receipts: NamedDependency[Receipts],
        caller: NamedDependency[Caller],
        metrics: NamedDependency[Metrics],
    ) -> WithETag[Receipt]:
        """Record a sum of money, and pay invoices with it: by default the payer's, oldest due date first.

        What is more than the invoices take stays as `unallocated` with the payer. Money without a payer is
        unidentified until PATCH names one. 409 if the source and its external_reference are booked already.
        """
        receipt = await receipts.create(caller.tenant, data)
        metrics.count_payment("RECEIPT", receipt.currency, data.amount)
        return created(receipt, f"/receipts/{receipt.id}")

    @get("/receipts", access=READERS, summary="List receipts")
    async def list_receipts(
        self,
        page: NamedDependency[Page],
        receipts: NamedDependency[Receipts],
        caller: NamedDependency[Caller],
        filters: NamedDependency[ReceiptFilters],
        school_id: OfSchool = None,
        payer_id: OfPayer = None,
    ) -> Response[list[ListedReceipt]]:
        """List receipts without their allocations, newest last, in the order in which they were recorded."""
        listed = await receipts.list(caller.tenant, page, filters, school_id=school_id, payer_id=payer_id)
        return page.answer(listed)

    @get(
        "/payers/{payer_id:str}/receipts",
        access=READERS,
        summary="List a payer's receipts",
        errors=(PayerNotFound,),
    )
    async def list_receipts_of_payer(
        self,
        payer_id: FromPath[UUID],
        page: NamedDependency[Page],
        receipts: NamedDependency[Receipts],
        payers: NamedDependency[Payers],
        caller: NamedDependency[Caller],
        filters: NamedDependency[ReceiptFilters],
    ) -> Response[list[ListedReceipt]]:
        """List a payer's receipts without their allocations, newest last."""
        listed = await receipts.list(caller.tenant, page, filters, payer_id=payer_id)
        if not listed.rows:
            await payers.get(caller.tenant, payer_id)
        return page.answer(listed)

    @get("/receipts/{receipt_id:str}", access=READERS, summary="Get a receipt", errors=(ReceiptNotFound,))
    async def get_receipt(
        self, receipt_id: FromPath[UUID], receipts: NamedDependency[Receipts], caller: NamedDependency[Caller]
    ) -> WithETag[Receipt]:
        """Return one receipt, with each invoice that it pays."""
        return with_etag(await receipts.get(caller.tenant, receipt_id))

    @patch(
        "/receipts/{receipt_id:str}",
        access=ACCOUNTANTS,
        summary="Name the payer of a receipt",
        errors=(ReceiptNotFound, PayerNotFound, ReceiptAllocated, ReceiptReversed, PreconditionFailed),
    )
    async def claim_receipt(
        self,
        receipt_id: FromPath[UUID],
        data: JSONBody[ReceiptPatch],
        receipts: NamedDependency[Receipts],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> WithETag[Receipt]:
        """Say whose money it is. It is not allocated by this: POST its allocations.

        409 if it is the money of another payer and pays invoices.
        """
        return with_etag(await receipts.claim(caller.tenant, receipt_id, data.payer_id, if_match))

    @post(
        "/receipts/{receipt_id:str}/allocations",
        access=ACCOUNTANTS,
        summary="Allocate what is left of a receipt",
        errors=(
            ReceiptNotFound,
            ReceiptReversed,
            ReceiptSpent,
            Overpayment,
            InvoiceIsVoid,
            InvoiceWrittenOff,
            InvoiceNotIssued,
            PreconditionFailed,
            IdempotencyKeyReused,
            IdempotencyKeyInFlight,
        ),
    )
    async def allocate_receipt(
        self,
        receipt_id: FromPath[UUID],
        data: JSONBody[AllocateIn],
        receipts: NamedDependency[Receipts],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> WithETag[Receipt]:
        """Pay invoices with the unallocated money of a receipt, from now on.

        409 if less of it is unallocated, or if an invoice takes less.
        """
        receipt = await receipts.allocate(caller.tenant, receipt_id, data, if_match)
        return created(receipt, f"/receipts/{receipt.id}")

    @post(
        "/receipts/{receipt_id:str}/refunds",
        access=ACCOUNTANTS,
        summary="Give unallocated money back",
        errors=(
            ReceiptNotFound,
            ReceiptReversed,
            ReceiptSpent,
            ReceiptMovedLater,
            PreconditionFailed,
            PeriodClosed,
            IdempotencyKeyReused,
            IdempotencyKeyInFlight,
        ),
    )
    async def refund_receipt(
        self,
        receipt_id: FromPath[UUID],
        data: JSONBody[ReceiptRefundIn],
        receipts: NamedDependency[Receipts],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> WithETag[Receipt]:
        """Record that unallocated money of a receipt was given back. 409 if less of it is unallocated."""
        receipt = await receipts.refund(caller.tenant, receipt_id, data, if_match)
        return created(receipt, f"/receipts/{receipt.id}")

    @post(
        "/receipts/{receipt_id:str}/reverse",
        access=ACCOUNTANTS,
        summary="Reverse a receipt",
        errors=(
            ReceiptNotFound,
            ReceiptReversed,
            ReceiptRefunded,
            ReceiptMovedLater,
            OverRefund,
            PreconditionFailed,
            PeriodClosed,
            IdempotencyKeyReused,
            IdempotencyKeyInFlight,
        ),
    )
    async def reverse_receipt(
        self,
        receipt_id: FromPath[UUID],
        data: JSONBody[ReceiptReversal],
        receipts: NamedDependency[Receipts],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> WithETag[Receipt]:
        """Take back all allocations of a receipt whose money went, as with a bounced cheque.

        The debts return with their due dates. 409 if some of the money was given back, so it did arrive.
        """
        receipt = await receipts.reverse(caller.tenant, receipt_id, data, if_match)
        return created(receipt, f"/receipts/{receipt.id}")

    @post(
        "/payments/{payment_id:str}/reverse",
        access=ACCOUNTANTS,
        summary="Take an allocation back",
        errors=(
            PaymentNotFound,
            NotAllocated,
            AllocationReversed,
            OverRefund,
            PreconditionFailed,
            IdempotencyKeyReused,
            IdempotencyKeyInFlight,
        ),
    )
    async def reverse_payment(
        self,
        payment_id: FromPath[UUID],
        data: JSONBody[PaymentReversal],
        receipts: NamedDependency[Receipts],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> WithETag[Payment]:
        """Take the money of an allocation back to its receipt, and return the refund that does so.

        409 if the payment is no allocation, or is taken back already.
        """
        refund = await receipts.take_back(caller.tenant, payment_id, data.reason, if_match)
        return created(refund, f"/payments/{refund.id}")


def room(database: Database) -> Room:
    """Return what receipts bring to the application."""
    tag = Tag("receipts", "Sums of money that arrived, and the invoices that they pay.")
    return Room(tag, ReceiptController, constraint_errors=CONSTRAINT_ERRORS, receipts=Receipts(database))
