"""The payments table, which holds payments and refunds. A trigger of it moves the totals of the invoices."""

from datetime import date
from uuid import UUID

from school_billing.auth.contracts import Tenant
from school_billing.invoices.errors import InvoiceNotFound
from school_billing.invoices.repository import Invoices
from school_billing.payments.contracts import Payment, PaymentIn, PaymentKind, PaymentPatch
from school_billing.payments.errors import PaymentNotFound
from school_billing.platform.database.errors import ConstraintViolated
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.idempotency import once
from school_billing.platform.web.conditional import IfMatch, refuse_change
from school_billing.platform.web.json_body import is_given, set_or_none
from school_billing.platform.web.pages import Page
from school_billing.schools.days import Moment

CREATE = Query("payments/create", Payment)
GET = Query("payments/get", Payment)
LIST = Query("payments/list", Payment)
LIST_OF_SCHOOL = Query("payments/list_of_school", Payment)
LIST_OF_INVOICE = Query("payments/list_of_invoice", Payment)
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
        *,
        school_id: UUID | None = None,
        invoice_id: UUID | None = None,
        kind: PaymentKind | None,
        method: str | None,
        reference: str | None = None,
        paid_from: date | None = None,
        paid_to: date | None = None,
    ) -> list[Payment]:
        """Return a page of payments and refunds and one more. A filter that is None does not apply."""
        filters = {"tenant": tenant, "kind": kind, "method": method, "reference": reference}
        days = {"paid_from": paid_from, "paid_to": paid_to}
        school_id = school_id or tenant
        if invoice_id is not None:
            return await self._database.all(
                LIST_OF_INVOICE, invoice_id=invoice_id, school_id=school_id, **filters, **days, **page.rows
            )
        if school_id is not None:
            return await self._database.all(LIST_OF_SCHOOL, school_id=school_id, **filters, **days, **page.rows)
        return await self._database.all(LIST, **filters, **days, **page.rows)

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
