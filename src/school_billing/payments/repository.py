"""The payments table, which holds payments and refunds. A trigger of it moves the totals of the invoices."""

from uuid import UUID

from school_billing.auth.contracts import Tenant
from school_billing.invoices.errors import DATED_BY_WAITING, InvoiceNotFound
from school_billing.invoices.repository import Invoices
from school_billing.payments.contracts import (
    Method,
    Payment,
    PaymentFilters,
    PaymentIn,
    PaymentKind,
    PaymentPatch,
    Reference,
)
from school_billing.payments.errors import PaymentNotFound
from school_billing.platform.database.errors import ConstraintViolated
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.idempotency import once
from school_billing.platform.web.conditional import IfMatch, refuse_change
from school_billing.platform.web.json_body import is_given, set_or_none
from school_billing.platform.web.pages import Listed, Page
from school_billing.schools.days import Moment

CREATE = Query("payments/create", Payment, again_on=DATED_BY_WAITING)
GET = Query("payments/get", Payment)
LIST = Query("payments/list", Payment)
UPDATE = Query("payments/update", Payment)
DELETE = Query("payments/delete", Payment)


class Payments:
    """Payments and refunds. One of another school than the tenant is a PaymentNotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, tenant: Tenant, payment: PaymentIn) -> Payment:
        """Record a payment or refund.

        Raises:
            InvoiceNotFound: There is no such invoice.
            Overpayment: The balance due is smaller. The error says what it is.
            OverRefund: Less was paid. The error says how much.
        """
        paid = payment.paid_at or Moment()
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
                    paid_at=paid.instant,
                    paid_on=paid.day,
                )
        except ConstraintViolated as violated:
            await Invoices(self._database).refuse(tenant, payment.invoice_id, violated)
        if created is None:
            raise InvoiceNotFound
        return created

    async def get(self, tenant: Tenant, payment_id: UUID) -> Payment:
        """Return a payment or refund."""
        return await self._database.one_or_raise(GET, PaymentNotFound, tenant=tenant, payment_id=payment_id)

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
            receipt_id=filters.receipt_id,
            kind=filters.kind,
            method=Method.sought(filters.method),
            reference=Reference.sought(filters.reference),
            paid_from=filters.paid_from,
            paid_to=filters.paid_to,
        )

    async def update(self, tenant: Tenant, payment_id: UUID, patch: PaymentPatch, if_match: IfMatch) -> Payment:
        """Change the given fields. A foreign key refuses an invoice of another school."""
        paid = patch.paid_at or Moment()
        try:
            updated = await self._database.one_or_none(
                UPDATE,
                tenant=tenant,
                payment_id=payment_id,
                if_match=if_match.versions,
                invoice_id=set_or_none(patch.invoice_id),
                amount=set_or_none(patch.amount),
                method_given=is_given(patch.method),
                method=set_or_none(patch.method),
                reference_given=is_given(patch.reference),
                reference=set_or_none(patch.reference),
                paid_at=paid.instant,
                paid_on=paid.day,
            )
        except ConstraintViolated as violated:
            payment = await self.get(tenant, payment_id)
            # A payment makes the invoice to which it moves overpaid, or the one that it leaves over-refunded.
            is_overpaid = violated.constraint == "invoices_paid_at_most_total"
            is_there = is_overpaid == (payment.kind == PaymentKind.PAYMENT)
            there = set_or_none(patch.invoice_id) or payment.invoice_id
            await Invoices(self._database).refuse(tenant, there if is_there else payment.invoice_id, violated)
        return updated or refuse_change(await self.get(tenant, payment_id), if_match, PaymentNotFound())

    async def delete(self, tenant: Tenant, payment_id: UUID, if_match: IfMatch) -> None:
        """Delete a payment or refund."""
        try:
            deleted = await self._database.one_or_none(
                DELETE, tenant=tenant, payment_id=payment_id, if_match=if_match.versions
            )
        except ConstraintViolated as violated:
            payment = await self.get(tenant, payment_id)
            await Invoices(self._database).refuse(tenant, payment.invoice_id, violated)
        if deleted is None:
            refuse_change(await self.get(tenant, payment_id), if_match, PaymentNotFound())
