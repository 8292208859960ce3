"""The payments table; a trigger of it moves the totals of the invoices."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec import UNSET, Struct

from school_billing.invoices.errors import InvoiceNotFound, Overpayment, OverRefund
from school_billing.invoices.repository import Invoices
from school_billing.payments.contracts import Payment, PaymentIn, PaymentKind, PaymentPatch
from school_billing.payments.errors import PaymentNotFound
from school_billing.platform.database.errors import ConstraintViolated
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.idempotency import once
from school_billing.platform.web.conditional import IfMatch, Versions
from school_billing.platform.web.errors import Conflict
from school_billing.platform.web.json_body import is_given, set_or_none
from school_billing.platform.web.pages import Page

_LISTED: dict[str, Any] = {
    "tenant": UUID | None,
    "kind": str | None,
    "method": str | None,
    "reference": str | None,
    "paid_from": date | None,
    "paid_to": date | None,
    "after": UUID,
    "limit": int,
    "offset": int,
}


CREATE = Query(
    "payments/create",
    Payment,
    tenant=UUID | None,
    invoice_id=UUID,
    kind=str,
    amount=Decimal,
    method=str | None,
    reference=str | None,
    paid_at=datetime | None,
)
GET = Query("payments/get", Payment, tenant=UUID | None, payment_id=UUID)
LIST = Query("payments/list", Payment, **_LISTED)
LIST_OF_SCHOOL = Query("payments/list_of_school", Payment, school_id=UUID, **_LISTED)
LIST_OF_INVOICE = Query("payments/list_of_invoice", Payment, invoice_id=UUID, school_id=UUID | None, **_LISTED)
UPDATE = Query(
    "payments/update",
    Payment,
    tenant=UUID | None,
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
DELETE = Query("payments/delete", Payment, tenant=UUID | None, payment_id=UUID, if_match=Versions)


class PaymentFilter(Struct, frozen=True, kw_only=True):
    """Which movements a list holds; None means any. Days are days of the school."""

    school_id: UUID | None = None
    invoice_id: UUID | None = None
    kind: PaymentKind | None = None
    method: str | None = None
    reference: str | None = None
    paid_from: date | None = None
    paid_to: date | None = None


class Payments:
    """Movements; `tenant` is the school that the caller is bound to, None for all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, tenant: UUID | None, payment: PaymentIn) -> Payment:
        """Record a movement and move the invoice's totals, in one statement.

        Raises:
            InvoiceNotFound: There is no such invoice, or it is another school's.
            Overpayment: The balance due is smaller; the message says what it is.
            OverRefund: Less was paid; the message says how much.
        """
        try:
            async with once(self._database):
                created = await self._database.one_or_none(
                    CREATE,
                    tenant=tenant,
                    invoice_id=payment.invoice_id,
                    kind=payment.kind.value,
                    amount=payment.amount,
                    method=payment.method,
                    reference=payment.reference,
                    paid_at=payment.paid_at,
                )
        except ConstraintViolated as refusal:
            raise await self._explain(refusal, tenant, payment.invoice_id) from refusal
        if created is None:
            raise InvoiceNotFound
        return created

    async def _explain(
        self, refusal: ConstraintViolated, tenant: UUID | None, invoice_id: UUID
    ) -> Conflict | ConstraintViolated:
        """Return what the invoice's refusal of a movement means, with the figures that the caller needs next."""
        if refusal.constraint not in {"invoices_paid_at_most_total", "invoices_refunded_at_most_paid"}:
            return refusal
        invoice = await Invoices(self._database).get(tenant, invoice_id)
        if refusal.constraint == "invoices_paid_at_most_total":
            return Overpayment(f"The balance due on the invoice is {invoice.balance_due}; no more can be paid.")
        return OverRefund(f"What is paid on the invoice is {invoice.paid_total}; no more can be refunded.")

    async def get(self, tenant: UUID | None, payment_id: UUID) -> Payment:
        """Return a movement.

        Raises:
            PaymentNotFound: There is none of that id, or it is another school's.
        """
        payment = await self._database.one_or_none(GET, tenant=tenant, payment_id=payment_id)
        if payment is None:
            raise PaymentNotFound
        return payment

    async def list(self, tenant: UUID | None, wanted: PaymentFilter, page: Page) -> list[Payment]:
        """Return a page of movements and one more, by the narrowest index."""
        common: dict[str, Any] = {
            "tenant": tenant,
            "kind": wanted.kind and wanted.kind.value,
            "method": wanted.method,
            "reference": wanted.reference,
            "paid_from": wanted.paid_from,
            "paid_to": wanted.paid_to,
            "after": page.after,
            "limit": page.fetch,
            "offset": page.offset,
        }
        school_id = wanted.school_id or tenant
        if wanted.invoice_id is not None:
            return await self._database.all(
                LIST_OF_INVOICE, invoice_id=wanted.invoice_id, school_id=school_id, **common
            )
        if school_id is not None:
            return await self._database.all(LIST_OF_SCHOOL, school_id=school_id, **common)
        return await self._database.all(LIST, **common)

    async def update(self, tenant: UUID | None, payment_id: UUID, patch: PaymentPatch, if_match: IfMatch) -> Payment:
        """Change what `patch` names, and the totals of the invoice or of both invoices with it.

        Raises:
            PaymentNotFound: There is none of that id, or it is another school's.
            PreconditionFailed: It is of another version than `if_match` names.
            InvoiceNotFound: The invoice that it should move to does not exist in its school.
        """
        updated = await self._database.one_or_none(
            UPDATE,
            tenant=tenant,
            payment_id=payment_id,
            if_match=if_match.versions,
            invoice_id=set_or_none(patch.invoice_id),
            kind=None if patch.kind is UNSET else patch.kind.value,
            amount=set_or_none(patch.amount),
            method_given=is_given(patch.method),
            method=set_or_none(patch.method),
            reference_given=is_given(patch.reference),
            reference=set_or_none(patch.reference),
            paid_at=set_or_none(patch.paid_at),
        )
        if updated is None:
            if_match.require(await self.get(tenant, payment_id))
            raise PaymentNotFound
        return updated

    async def delete(self, tenant: UUID | None, payment_id: UUID, if_match: IfMatch) -> None:
        """Delete a movement and take it off the invoice's totals, in one statement.

        Raises:
            PaymentNotFound: There is none of that id, or it is another school's.
            PreconditionFailed: It is of another version than `if_match` names.
        """
        deleted = await self._database.one_or_none(
            DELETE, tenant=tenant, payment_id=payment_id, if_match=if_match.versions
        )
        if deleted is None:
            if_match.require(await self.get(tenant, payment_id))
            raise PaymentNotFound
