"""The receipts table, and the allocations in the payments table. Triggers move the totals of receipts and invoices."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import UUID

from msgspec.structs import asdict

from school_billing.auth.contracts import Tenant
from school_billing.invoices.errors import DATED_BY_WAITING, InvoiceIsVoid, InvoiceNotFound, figures_of
from school_billing.invoices.repository import Invoices
from school_billing.payers.repository import Payers
from school_billing.payments.contracts import Method, Payment, Reference
from school_billing.payments.repository import Payments
from school_billing.platform.database.errors import ConstraintViolated
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.idempotency import once
from school_billing.platform.web.conditional import IfMatch, Versions, refuse_change
from school_billing.platform.web.errors import FieldError, InvalidBody
from school_billing.platform.web.json_body import whole
from school_billing.platform.web.pages import NIL, Listed, Page
from school_billing.receipts.contracts import (
    AllocateIn,
    AllocationIn,
    ExternalReference,
    ListedReceipt,
    Receipt,
    ReceiptFilters,
    ReceiptIn,
    ReceiptRefundIn,
    ReceiptReversal,
    Source,
)
from school_billing.receipts.errors import (
    ABOUT_INVOICES,
    InvoiceNotIssued,
    NotAllocated,
    ReceiptAllocated,
    ReceiptKnown,
    ReceiptNotFound,
    ReceiptReversed,
    ReceiptSpent,
)
from school_billing.schools.contracts import DocumentNumber
from school_billing.schools.days import Moment
from school_billing.schools.errors import refuse_cents
from school_billing.schools.repository import Schools

ALLOCATE = Query("receipts/allocate", Receipt, again_on=DATED_BY_WAITING)
GET = Query("receipts/get", Receipt)
LIST = Query("receipts/list", ListedReceipt)
CLAIM = Query("receipts/claim", Receipt)
# What moved while a statement waited for the receipt, it did not see.
_MOVED = {"receipts_move_in_order"}
REFUND = Query("receipts/refund", Receipt, again_on=_MOVED)
REVERSE = Query(
    "receipts/reverse",
    Receipt,
    again_on=DATED_BY_WAITING | _MOVED | {"receipts_none_allocated_when_reversed", "payments_reverses_id_key"},
)
KNOWN = Query("receipts/known", str)
TAKE_BACK = Query("receipts/take_back", Payment, again_on=DATED_BY_WAITING)

_MONEY = ("payer_id", "school_id", "amount", "method", "reference", "source", "external_reference")


class Receipts:
    """Receipts. A receipt of another school than the tenant is a ReceiptNotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, tenant: Tenant, receipt: ReceiptIn) -> Receipt:
        """Record money that arrived, and allocate it.

        Raises:
            InvalidBody: The fields contradict each other, or an invoice is of another school.
            PayerNotFound, SchoolNotFound: There is no such payer or school.
            ReceiptKnown: The money is booked already. The error says as which receipt.
            Overpayment, InvoiceIsVoid, InvoiceNotIssued: An invoice of the list takes less.
        """
        receipt.require_sense()
        received = receipt.received_at or Moment()
        values = {name: getattr(receipt, name) for name in _MONEY}
        try:
            created = await self._allocate(tenant, receipt, None, received, None, **values)
        except ConstraintViolated as violated:
            if violated.constraint == "receipts_external_reference_key":
                await self._refuse_known(tenant, receipt, violated)
            raise
        if created is None:
            await self._refuse_list(tenant, await self._school_of(tenant, receipt), receipt.listed)
        return created

    async def allocate(self, tenant: Tenant, receipt_id: UUID, allocate: AllocateIn, if_match: IfMatch) -> Receipt:
        """Allocate what is left of a receipt.

        Raises:
            InvalidBody: An invoice is of another school, or in the list twice.
            ReceiptReversed: The money went.
            ReceiptSpent: Less is left. The error says how much.
            Overpayment, InvoiceIsVoid, InvoiceNotIssued: An invoice of the list takes less.
        """
        allocate.require_sense()
        money = dict.fromkeys(_MONEY)
        receipt = await self._allocate(tenant, allocate, receipt_id, Moment(), if_match.versions, **money)
        if receipt is None:
            known = await self.get(tenant, receipt_id)
            if_match.require(known)
            if known.reversed_at is not None:
                raise ReceiptReversed
            await self._refuse_list(tenant, known.school_id, allocate.listed)
        return receipt

    async def get(self, tenant: Tenant, receipt_id: UUID) -> Receipt:
        """Return a receipt."""
        return whole(await self._database.one_or_raise(GET, ReceiptNotFound, tenant=tenant, receipt_id=receipt_id))

    async def list(
        self,
        tenant: Tenant,
        page: Page,
        filters: ReceiptFilters,
        *,
        school_id: UUID | None = None,
        payer_id: UUID | None = None,
    ) -> Listed[ListedReceipt]:
        """Return a page of receipts."""
        values = _sought(filters)
        return await page.read(self._database, LIST, tenant=tenant, school_id=school_id, payer_id=payer_id, **values)

    async def claim(self, tenant: Tenant, receipt_id: UUID, payer_id: UUID, if_match: IfMatch) -> Receipt:
        """Say whose money it is.

        Raises:
            PayerNotFound: The school of the receipt has no such payer.
            ReceiptAllocated: The money of another payer pays invoices.
            ReceiptReversed: The money went.
        """
        claimed = await self._database.one_or_none(
            CLAIM, tenant=tenant, receipt_id=receipt_id, payer_id=payer_id, if_match=if_match.versions
        )
        if claimed is None:
            receipt = await self.get(tenant, receipt_id)
            await Payers(self._database).get(receipt.school_id, payer_id)
            refuse_change(receipt, if_match, ReceiptAllocated() if receipt.reversed_at is None else ReceiptReversed())
        return whole(claimed)

    async def refund(self, tenant: Tenant, receipt_id: UUID, refund: ReceiptRefundIn, if_match: IfMatch) -> Receipt:
        """Give unallocated money back.

        Raises:
            ReceiptSpent: Less is left. The error says how much.
            ReceiptReversed: The money went.
            ReceiptMovedLater: The refund is dated before another movement of the receipt.
        """
        refunded = refund.refunded_at or Moment()
        async with self._figures(tenant, receipt_id), once(self._database):
            receipt = await self._database.one_or_none(
                REFUND,
                tenant=tenant,
                receipt_id=receipt_id,
                if_match=if_match.versions,
                amount=refund.amount,
                method=refund.method,
                reference=refund.reference,
                reason=refund.reason,
                refunded_at=refunded.instant,
                refunded_on=refunded.day,
            )
        if receipt is None:
            refuse_change(await self.get(tenant, receipt_id), if_match, ReceiptNotFound())
        return whole(receipt)

    async def reverse(self, tenant: Tenant, receipt_id: UUID, reversal: ReceiptReversal, if_match: IfMatch) -> Receipt:
        """Take all allocations back, because the money went.

        Raises:
            ReceiptRefunded: Some of the money was given back.
            ReceiptReversed: The receipt is reversed already.
            ReceiptMovedLater: The receipt has a movement after that day.
            OverRefund: The money of an allocation was refunded on its invoice.
        """
        at = reversal.reversed_at or Moment()
        async with once(self._database):
            receipt = await self._database.one_or_none(
                REVERSE,
                tenant=tenant,
                receipt_id=receipt_id,
                if_match=if_match.versions,
                reason=reversal.reason,
                reversed_at=at.instant,
                reversed_on=at.day,
            )
        if receipt is None:
            error = ReceiptReversed("The receipt is already reversed.")
            refuse_change(await self.get(tenant, receipt_id), if_match, error)
        return whole(receipt)

    async def take_back(self, tenant: Tenant, payment_id: UUID, reason: str, if_match: IfMatch) -> Payment:
        """Take an allocation back to its receipt, and return the refund that does it.

        Raises:
            PaymentNotFound: There is no such payment.
            NotAllocated: The payment is of no receipt, or is itself a refund.
            AllocationReversed: It is taken back already.
            OverRefund: Its money was refunded on the invoice.
        """
        payments = Payments(self._database)
        try:
            async with once(self._database):
                refund = await self._database.one_or_none(
                    TAKE_BACK, tenant=tenant, payment_id=payment_id, reason=reason, if_match=if_match.versions
                )
        except ConstraintViolated as violated:
            payment = await payments.get(tenant, payment_id)
            await Invoices(self._database).refuse(tenant, payment.invoice_id, violated)
        if refund is None:
            refuse_change(await payments.get(tenant, payment_id), if_match, NotAllocated())
        return refund

    async def _allocate(
        self,
        tenant: Tenant,
        allocate: AllocateIn,
        receipt_id: UUID | None,
        received: Moment,
        versions: Versions,
        **money: Any,
    ) -> Receipt | None:
        try:
            async with self._figures(tenant, receipt_id), once(self._database):
                receipt = await self._database.one_or_none(
                    ALLOCATE,
                    tenant=tenant,
                    receipt_id=receipt_id,
                    if_match=versions,
                    received_at=received.instant,
                    received_on=received.day,
                    rule=allocate.rule,
                    invoice_ids=[one.invoice_id for one in allocate.listed],
                    invoice_amounts=[one.amount for one in allocate.listed],
                    **money,
                )
        except ConstraintViolated as violated:
            await self._refuse_items(tenant, allocate.listed, violated)
            raise
        return receipt and whole(receipt)

    async def _refuse_items(self, tenant: Tenant, listed: Sequence[AllocationIn], violated: ConstraintViolated) -> None:
        """Raise the error of the first item that the constraint is about, if it is about one."""
        if violated.constraint == "amounts_fit_the_currency":
            for place, one in enumerate(listed):
                if one.amount % 1:
                    raise refuse_cents(f"allocate[{place}].amount")(**violated.facts)
        if violated.constraint not in ABOUT_INVOICES:
            return
        invoices, now = Invoices(self._database), datetime.now(UTC)
        for place, one in enumerate(listed):
            invoice = await invoices.get(tenant, one.invoice_id)
            for error, is_refused, rule in (
                (InvoiceIsVoid, invoice.voided_at is not None, "must not be void"),
                (InvoiceNotIssued, invoice.issued_at > now, "must be issued already"),
            ):
                if is_refused:
                    errors = [FieldError(f"allocate[{place}].invoice_id", rule)]
                    raise error(error.__doc__, errors, figures_of(invoice)) from violated
            if one.amount > invoice.balance_due:
                errors = [FieldError(f"allocate[{place}].amount", f"must be at most {invoice.balance_due}")]
                await invoices.refuse(tenant, one.invoice_id, violated, errors)

    @asynccontextmanager
    async def _figures(self, tenant: Tenant, receipt_id: UUID | None) -> AsyncIterator[None]:
        """Tell how much of the receipt is left, if a statement wants more."""
        try:
            yield
        except ConstraintViolated as violated:
            if violated.constraint != "receipts_spent_at_most_amount" or receipt_id is None:
                raise
            receipt = await self.get(tenant, receipt_id)
            names = ("amount", "allocated_total", "refunded_total", "unallocated")
            raise ReceiptSpent(
                f"{receipt.unallocated} of the receipt is unallocated. To have more, take allocations back first, with"
                " POST /payments/{id}/reverse.",
                figures={name: getattr(receipt, name) for name in names},
            ) from violated

    async def _school_of(self, tenant: Tenant, receipt: ReceiptIn) -> UUID:
        """Return the school of new money. PayerNotFound or SchoolNotFound if there is none."""
        if receipt.payer_id is not None:
            return (await Payers(self._database).get(tenant, receipt.payer_id)).school_id
        return (await Schools(self._database).get(tenant, receipt.school_id or NIL)).id

    async def _refuse_known(self, tenant: Tenant, receipt: ReceiptIn, violated: ConstraintViolated) -> NoReturn:
        school_id = await self._school_of(tenant, receipt)
        known = await self._database.one_or_none(
            KNOWN,
            tenant=tenant,
            school_id=school_id,
            source=receipt.source,
            external_reference=receipt.external_reference,
        )
        raise ReceiptKnown(figures={"receipt_id": known} if known else {}) from violated

    async def _refuse_list(self, tenant: Tenant, school_id: UUID, listed: Sequence[AllocationIn]) -> NoReturn:
        """Name the invoices that are not of the receipt's school."""
        errors = []
        for place, one in enumerate(listed):
            try:
                invoice = await Invoices(self._database).get(tenant, one.invoice_id)
            except InvoiceNotFound:
                invoice = None
            if invoice is None or invoice.school_id != school_id:
                rule = "must be an invoice of the receipt's school"
                errors.append(FieldError(f"allocate[{place}].invoice_id", rule))
        raise InvalidBody(errors=errors) if errors else ReceiptNotFound


def _sought(filters: ReceiptFilters) -> dict[str, Any]:
    """Return the filters in the form in which the values are stored."""
    return asdict(filters) | {
        "number": DocumentNumber.sought(filters.number),
        "method": Method.sought(filters.method),
        "reference": Reference.sought(filters.reference),
        "source": Source.sought(filters.source),
        "external_reference": ExternalReference.sought(filters.external_reference),
    }
