"""The payments table, which holds payments and refunds. A trigger of it moves the totals of the invoices."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from school_billing.auth.contracts import Tenant
from school_billing.invoices.errors import InvoiceNotFound, Overpayment, OverRefund
from school_billing.invoices.repository import Invoices
from school_billing.payments.contracts import Method, Payment, PaymentFilters, PaymentIn, PaymentPatch, Reference
from school_billing.payments.errors import PaymentNotFound
from school_billing.platform.database.errors import ConstraintViolated
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.idempotency import once
from school_billing.platform.web.conditional import IfMatch, Versions, refuse_change
from school_billing.platform.web.json_body import is_given, set_or_none
from school_billing.platform.web.pages import ROWS, Listed, Page

CREATE = Query(
    "payments/create",
    Payment,
    tenant=Tenant,
    invoice_id=UUID,
    kind=str,
    amount=Decimal,
    method=str | None,
    reference=str | None,
    paid_at=datetime | None,
)
GET = Query("payments/get", Payment, tenant=Tenant, payment_id=UUID)
LIST = Query(
    "payments/list",
    Payment,
    tenant=Tenant,
    school_id=UUID | None,
    student_id=UUID | None,
    invoice_id=UUID | None,
    kind=str | None,
    method=str | None,
    reference=str | None,
    paid_from=date | None,
    paid_to=date | None,
    **ROWS,
)
UPDATE = Query(
    "payments/update",
    Payment,
    tenant=Tenant,
    payment_id=UUID,
    if_match=Versions,
    invoice_id=UUID | None,
    kind=str | None,
    amount=Decimal | None,
    method_given=bool,
    method=str | None,
    reference_given=bool,
    reference=str | None,
    paid_at=datetime | None,
)
DELETE = Query("payments/delete", Payment, tenant=Tenant, payment_id=UUID, if_match=Versions)


class Payments:
    """Payments and refunds. One of another school than the tenant is a PaymentNotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, tenant: Tenant, payment: PaymentIn) -> Payment:
        """Record a payment or refund.

        Raises:
            InvoiceNotFound: There is no such invoice.
            Overpayment: The balance due is smaller. The message says what it is.
            OverRefund: Less was paid. The message says how much.
        """
        try:
            async with once(self._database):
                created = await self._database.one_or_none(
                    CREATE,
                    tenant=tenant,
                    invoice_id=payment.invoice_id,
                    kind=payment.kind,
                    amount=payment.amount,
                    method=payment.method,
                    reference=payment.reference,
                    paid_at=payment.paid_at,
                )
        except ConstraintViolated as error:
            if error.constraint not in {"invoices_paid_at_most_total", "invoices_refunded_at_most_paid"}:
                raise
            invoice = await Invoices(self._database).get(tenant, payment.invoice_id)
            if error.constraint == "invoices_paid_at_most_total":
                raise Overpayment.beyond(invoice.balance_due) from error
            raise OverRefund.beyond(invoice.paid_total) from error
        if created is None:
            raise InvoiceNotFound
        return created

    async def get(self, tenant: Tenant, payment_id: UUID) -> Payment:
        """Return a payment or refund."""
        payment = await self._database.one_or_none(GET, tenant=tenant, payment_id=payment_id)
        if payment is None:
            raise PaymentNotFound
        return payment

    async def list(
        self,
        tenant: Tenant,
        page: Page,
        filters: PaymentFilters,
        *,
        school_id: UUID | None = None,
        student_id: UUID | None = None,
        invoice_id: UUID | None = None,
    ) -> Listed[Payment]:
        """Return a page of payments and refunds."""
        return await page.read(
            self._database,
            LIST,
            tenant=tenant,
            school_id=school_id,
            student_id=student_id,
            invoice_id=invoice_id,
            kind=filters.kind,
            method=Method.sought(filters.method),
            reference=Reference.sought(filters.reference),
            paid_from=filters.paid_from,
            paid_to=filters.paid_to,
        )

    async def update(self, tenant: Tenant, payment_id: UUID, patch: PaymentPatch, if_match: IfMatch) -> Payment:
        """Change the given fields. A foreign key refuses an invoice of another school."""
        updated = await self._database.one_or_none(
            UPDATE,
            tenant=tenant,
            payment_id=payment_id,
            if_match=if_match.versions,
            invoice_id=set_or_none(patch.invoice_id),
            kind=set_or_none(patch.kind),
            amount=set_or_none(patch.amount),
            method_given=is_given(patch.method),
            method=set_or_none(patch.method),
            reference_given=is_given(patch.reference),
            reference=set_or_none(patch.reference),
            paid_at=set_or_none(patch.paid_at),
        )
        return updated or refuse_change(await self.get(tenant, payment_id), if_match, PaymentNotFound())

    async def delete(self, tenant: Tenant, payment_id: UUID, if_match: IfMatch) -> None:
        """Delete a payment or refund."""
        deleted = await self._database.one_or_none(
            DELETE, tenant=tenant, payment_id=payment_id, if_match=if_match.versions
        )
        if deleted is None:
            refuse_change(await self.get(tenant, payment_id), if_match, PaymentNotFound())
