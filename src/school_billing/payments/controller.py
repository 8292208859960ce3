"""/payments: payments and refunds."""

from datetime import date
from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from school_billing.auth.contracts import Caller
from school_billing.auth.guards import ACCOUNTANTS, READERS
from school_billing.invoices.repository import Invoices
from school_billing.payments.contracts import Payment, PaymentIn, PaymentKind, PaymentPatch
from school_billing.payments.repository import PaymentFilter, Payments
from school_billing.platform.observability.metrics import Metrics
from school_billing.platform.web.conditional import IfMatch
from school_billing.platform.web.pages import Page
from school_billing.platform.web.responses import WithETag, created, with_etag

OfSchool = Annotated[UUID | None, QueryParameter(description="Only of this school.")]
OfInvoice = Annotated[UUID | None, QueryParameter(description="Only on this invoice.")]
OfKind = Annotated[PaymentKind | None, QueryParameter(description="Only payments, or refunds.")]
ByMethod = Annotated[str | None, QueryParameter(max_length=50, description="Only by this method.")]
WithReference = Annotated[str | None, QueryParameter(max_length=255, description="Only with this reference.")]
PaidFrom = Annotated[
    date | None,
    QueryParameter(description="Only paid on this day or later, in the school's time zone."),
]
PaidTo = Annotated[
    date | None,
    QueryParameter(description="Only paid on this day or earlier, in the school's time zone."),
]


class PaymentController(Controller):
    """Movements of money on invoices: payments and refunds."""

    path = "/"
    tags = ("payments",)

    @post("/payments", access=ACCOUNTANTS, summary="Record a payment or a refund")
    async def create_payment(
        self,
        data: JSONBody[PaymentIn],
        payments: NamedDependency[Payments],
        caller: NamedDependency[Caller],
        metrics: NamedDependency[Metrics],
    ) -> WithETag[Payment]:
        """Record a movement on an invoice.

        409 if more would be paid than the invoice's total, or more refunded than was paid, or if it is void.
        """
        payment = await payments.create(caller.tenant, data)
        metrics.count_payment(data.kind.value, payment.currency, data.amount)
        return created(payment, f"/payments/{payment.id}")

    @get("/payments", access=READERS, summary="List payments and refunds")
    async def list_payments(
        self,
        page: NamedDependency[Page],
        payments: NamedDependency[Payments],
        caller: NamedDependency[Caller],
        school_id: OfSchool = None,
        invoice_id: OfInvoice = None,
        kind: OfKind = None,
        method: ByMethod = None,
        reference: WithReference = None,
        paid_from: PaidFrom = None,
        paid_to: PaidTo = None,
    ) -> Response[list[Payment]]:
        """List movements in the order in which they were recorded."""
        wanted = PaymentFilter(
            school_id=school_id,
            invoice_id=invoice_id,
            kind=kind,
            method=method,
            reference=reference,
            paid_from=paid_from,
            paid_to=paid_to,
        )
        return page.answer(await payments.list(caller.tenant, wanted, page))

    @get("/invoices/{invoice_id:str}/payments", access=READERS, summary="List an invoice's movements")
    async def list_payments_of_invoice(
        self,
        invoice_id: FromPath[UUID],
        page: NamedDependency[Page],
        payments: NamedDependency[Payments],
        invoices: NamedDependency[Invoices],
        caller: NamedDependency[Caller],
        kind: OfKind = None,
        method: ByMethod = None,
    ) -> Response[list[Payment]]:
        """List an invoice's payments and refunds in the order in which they were recorded."""
        wanted = PaymentFilter(invoice_id=invoice_id, kind=kind, method=method)
        found = await payments.list(caller.tenant, wanted, page)
        if not found:
            await invoices.get(caller.tenant, invoice_id)
        return page.answer(found)

    @get("/payments/{payment_id:str}", access=READERS, summary="Get a payment or a refund")
    async def get_payment(
        self,
        payment_id: FromPath[UUID],
        payments: NamedDependency[Payments],
        caller: NamedDependency[Caller],
    ) -> WithETag[Payment]:
        """Return one movement."""
        return with_etag(await payments.get(caller.tenant, payment_id))

    @patch("/payments/{payment_id:str}", access=ACCOUNTANTS, summary="Change a payment or a refund")
    async def update_payment(
        self,
        payment_id: FromPath[UUID],
        data: JSONBody[PaymentPatch],
        payments: NamedDependency[Payments],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> WithETag[Payment]:
        """Change the fields that the body names, and the invoice's totals with them.

        Another invoice_id moves the movement there. 409 where an invoice would be overpaid, or over-refunded.
        """
        return with_etag(await payments.update(caller.tenant, payment_id, data, if_match))

    @delete("/payments/{payment_id:str}", access=ACCOUNTANTS, summary="Delete a payment or a refund")
    async def delete_payment(
        self,
        payment_id: FromPath[UUID],
        payments: NamedDependency[Payments],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> None:
        """Delete a movement and take it off the invoice's totals. 409 where it was refunded."""
        await payments.delete(caller.tenant, payment_id, if_match)
