"""/payments: payments and refunds."""

from datetime import date
from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.openapi.spec import Tag
from litestar.params import FromPath, JSONBody, QueryParameter

from school_billing.auth.contracts import Caller
from school_billing.auth.guards import ACCOUNTANTS, READERS
from school_billing.invoices.errors import (
    InvoiceIsVoid,
    InvoiceNotFound,
    InvoiceWrittenOff,
    Overpayment,
    OverRefund,
)
from school_billing.invoices.repository import Invoices
from school_billing.payments.contracts import Payment, PaymentFilters, PaymentIn, PaymentKind, PaymentPatch
from school_billing.payments.errors import CONSTRAINT_ERRORS, BelongsToReceipt, PaymentNotFound
from school_billing.payments.repository import Payments
from school_billing.platform.database.pool import Database
from school_billing.platform.idempotency import IdempotencyKeyInFlight, IdempotencyKeyReused
from school_billing.platform.observability.metrics import Metrics
from school_billing.platform.rooms import Room
from school_billing.platform.web.conditional import IfMatch
from school_billing.platform.web.errors import PreconditionFailed
from school_billing.platform.web.pages import Page
from school_billing.platform.web.responses import WithETag, created, with_etag
from school_billing.schools.errors import PeriodClosed

OfSchool = Annotated[UUID | None, QueryParameter(description="Only payments of this school.")]
OfStudent = Annotated[UUID | None, QueryParameter(description="Only payments on invoices of this student.")]
OfInvoice = Annotated[UUID | None, QueryParameter(description="Only payments on this invoice.")]
OfReceipt = Annotated[UUID | None, QueryParameter(description="Only the allocations of this receipt.")]
OfKind = Annotated[PaymentKind | None, QueryParameter(description="Only payments, or only refunds.")]
ByMethod = Annotated[str | None, QueryParameter(max_length=50, description="Only payments by this method.")]
WithReference = Annotated[str | None, QueryParameter(max_length=255, description="Only payments with this reference.")]
PaidFrom = Annotated[
    date | None, QueryParameter(description="Only payments on this day or later, in the school's time zone.")
]
PaidTo = Annotated[
    date | None, QueryParameter(description="Only payments on this day or earlier, in the school's time zone.")
]


async def provide_payment_filters(
    receipt_id: OfReceipt = None,
    kind: OfKind = None,
    method: ByMethod = None,
    reference: WithReference = None,
    paid_from: PaidFrom = None,
    paid_to: PaidTo = None,
) -> PaymentFilters:
    """Read the filters of a list of payments."""
    return PaymentFilters(receipt_id, kind, method, reference, paid_from, paid_to)


class PaymentController(Controller):
    """The routes of payments and refunds."""

    path = "/"
    tags = ("payments",)
    dependencies = {"filters": Provide(provide_payment_filters)}

    @post(
        "/payments",
        access=ACCOUNTANTS,
        summary="Record a payment or a refund",
        errors=(
            InvoiceNotFound,
            InvoiceIsVoid,
            InvoiceWrittenOff,
            Overpayment,
            OverRefund,
            PeriodClosed,
            IdempotencyKeyReused,
            IdempotencyKeyInFlight,
        ),
    )
    async def create_payment(
        self,
        data: JSONBody[PaymentIn],
        payments: NamedDependency[Payments],
        caller: NamedDependency[Caller],
        metrics: NamedDependency[Metrics],
    ) -> WithETag[Payment]:
        """Record a payment or a refund on an invoice.

        409 if the invoice is void or written off, or if the payments would exceed what is owed or the refunds the
        payments, now or on an earlier day.
        """
        payment = await payments.create(caller.tenant, data)
        metrics.count_payment(data.kind, payment.currency, data.amount)
        return created(payment, f"/payments/{payment.id}")

    @get("/payments", access=READERS, summary="List payments and refunds")
    async def list_payments(
        self,
        page: NamedDependency[Page],
        payments: NamedDependency[Payments],
        caller: NamedDependency[Caller],
        filters: NamedDependency[PaymentFilters],
        school_id: OfSchool = None,
        student_id: OfStudent = None,
        invoice_id: OfInvoice = None,
    ) -> Response[list[Payment]]:
        """List payments and refunds, newest last, in the order in which they were recorded."""
        listed = await payments.list(
            caller.tenant, page, filters, school_id=school_id, student_id=student_id, invoice_id=invoice_id
        )
        return page.answer(listed)

    @get(
        "/invoices/{invoice_id:str}/payments",
        access=READERS,
        summary="List an invoice's payments and refunds",
        errors=(InvoiceNotFound,),
    )
    async def list_payments_of_invoice(
        self,
        invoice_id: FromPath[UUID],
        page: NamedDependency[Page],
        payments: NamedDependency[Payments],
        invoices: NamedDependency[Invoices],
        caller: NamedDependency[Caller],
        filters: NamedDependency[PaymentFilters],
    ) -> Response[list[Payment]]:
        """List an invoice's payments and refunds, newest last, in the order in which they were recorded."""
        listed = await payments.list(caller.tenant, page, filters, invoice_id=invoice_id)
        if not listed.rows:
            await invoices.get(caller.tenant, invoice_id)
        return page.answer(listed)

    @get("/payments/{payment_id:str}", access=READERS, summary="Get a payment or a refund", errors=(PaymentNotFound,))
    async def get_payment(
        self, payment_id: FromPath[UUID], payments: NamedDependency[Payments], caller: NamedDependency[Caller]
    ) -> WithETag[Payment]:
        """Return one payment or refund."""
        return with_etag(await payments.get(caller.tenant, payment_id))

    @patch(
        "/payments/{payment_id:str}",
        access=ACCOUNTANTS,
        summary="Change a payment or a refund",
        errors=(
            PaymentNotFound,
            InvoiceNotFound,
            InvoiceIsVoid,
            InvoiceWrittenOff,
            Overpayment,
            OverRefund,
            BelongsToReceipt,
            PeriodClosed,
            PreconditionFailed,
        ),
    )
    async def update_payment(
        self,
        payment_id: FromPath[UUID],
        data: JSONBody[PaymentPatch],
        payments: NamedDependency[Payments],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> WithETag[Payment]:
        """Change the given fields. The totals of the invoice change with them.

        Another invoice_id moves the payment to that invoice. 409 if the payments on an invoice would exceed its total,
        or its refunds the payments, now or on an earlier day.
        """
        return with_etag(await payments.update(caller.tenant, payment_id, data, if_match))

    @delete(
        "/payments/{payment_id:str}",
        access=ACCOUNTANTS,
        summary="Delete a payment or a refund",
        errors=(
            PaymentNotFound,
            InvoiceIsVoid,
            Overpayment,
            OverRefund,
            BelongsToReceipt,
            PeriodClosed,
            PreconditionFailed,
        ),
    )
    async def delete_payment(
        self,
        payment_id: FromPath[UUID],
        payments: NamedDependency[Payments],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> None:
        """Delete a payment or refund. The totals of the invoice change with it.

        409 if the payment was refunded, or if the payments would exceed the total without this refund.
        """
        await payments.delete(caller.tenant, payment_id, if_match)


def room(database: Database) -> Room:
    """Return what payments bring to the application."""
    tag = Tag("payments", "Payments and refunds on invoices.")
    return Room(tag, PaymentController, constraint_errors=CONSTRAINT_ERRORS, payments=Payments(database))
