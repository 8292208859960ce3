"""/adjustments: credit notes, discounts and write-offs."""

from datetime import date
from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency, Provide
from litestar.openapi.spec import Tag
from litestar.params import FromPath, JSONBody, QueryParameter

from school_billing.adjustments.contracts import (
    Adjustment,
    AdjustmentFilters,
    AdjustmentKind,
    AdjustmentReversal,
    CreditNoteIn,
    DiscountIn,
    ListedAdjustment,
    WriteOffIn,
)
from school_billing.adjustments.errors import (
    CONSTRAINT_ERRORS,
    AdjustmentIsReversal,
    AdjustmentNotFound,
    AdjustmentReversed,
    OverAdjustment,
    PaidDirectly,
)
from school_billing.adjustments.repository import Adjustments
from school_billing.auth.contracts import Caller
from school_billing.auth.guards import ACCOUNTANTS, READERS
from school_billing.invoices.errors import InvoiceIsVoid, InvoiceNotFound, OverRefund
from school_billing.invoices.repository import Invoices
from school_billing.platform.database.pool import Database
from school_billing.platform.idempotency import IdempotencyKeyInFlight, IdempotencyKeyReused
from school_billing.platform.rooms import Room
from school_billing.platform.web.pages import Page
from school_billing.platform.web.responses import WithETag, created, with_etag

OfSchool = Annotated[UUID | None, QueryParameter(description="Only adjustments of this school.")]
OfStudent = Annotated[UUID | None, QueryParameter(description="Only adjustments of invoices of this student.")]
OfPayer = Annotated[UUID | None, QueryParameter(description="Only adjustments of invoices that this payer owes.")]
OfInvoice = Annotated[UUID | None, QueryParameter(description="Only adjustments of this invoice.")]
OfKind = Annotated[AdjustmentKind | None, QueryParameter(description="Only adjustments of this kind, and reversals.")]
WithNumber = Annotated[
    str | None, QueryParameter(max_length=50, description="Only credit notes with this number, in capitals or not.")
]
AdjustedFrom = Annotated[
    date | None, QueryParameter(description="Only adjustments of this day or later, in the school's time zone.")
]
AdjustedTo = Annotated[
    date | None, QueryParameter(description="Only adjustments of this day or earlier, in the school's time zone.")
]


async def provide_adjustment_filters(
    kind: OfKind = None,
    number: WithNumber = None,
    adjusted_from: AdjustedFrom = None,
    adjusted_to: AdjustedTo = None,
) -> AdjustmentFilters:
    """Read the filters of a list of adjustments."""
    return AdjustmentFilters(kind, number, adjusted_from, adjusted_to)


class AdjustmentController(Controller):
    """The routes of adjustments."""

    path = "/"
    tags = ("adjustments",)
    dependencies = {"filters": Provide(provide_adjustment_filters)}

    @post(
        "/invoices/{invoice_id:str}/credit-notes",
        access=ACCOUNTANTS,
        summary="Add a credit note",
        errors=(
            InvoiceNotFound,
            InvoiceIsVoid,
            OverAdjustment,
            OverRefund,
            PaidDirectly,
            IdempotencyKeyReused,
            IdempotencyKeyInFlight,
        ),
    )
    async def create_credit_note(
        self,
        invoice_id: FromPath[UUID],
        data: JSONBody[CreditNoteIn],
        adjustments: NamedDependency[Adjustments],
        caller: NamedDependency[Caller],
    ) -> WithETag[Adjustment]:
        """Take an amount off an invoice, because a part of it was wrong or was not delivered.

        409 if less is owed. With `release`, money of receipts is first taken off the invoice, as much as is needed, and
        is unallocated again. Money that was paid directly cannot be released: refund it first.
        """
        note = await adjustments.credit(caller.tenant, invoice_id, data)
        return created(note, f"/adjustments/{note.id}")

    @post(
        "/invoices/{invoice_id:str}/discounts",
        access=ACCOUNTANTS,
        summary="Add a discount",
        errors=(InvoiceNotFound, InvoiceIsVoid, OverAdjustment, IdempotencyKeyReused, IdempotencyKeyInFlight),
    )
    async def create_discount(
        self,
        invoice_id: FromPath[UUID],
        data: JSONBody[DiscountIn],
        adjustments: NamedDependency[Adjustments],
        caller: NamedDependency[Caller],
    ) -> WithETag[Adjustment]:
        """Take an amount off an invoice, because the school asks for less. 409 if less is owed."""
        discount = await adjustments.discount(caller.tenant, invoice_id, data)
        return created(discount, f"/adjustments/{discount.id}")

    @post(
        "/invoices/{invoice_id:str}/write-off",
        access=ACCOUNTANTS,
        summary="Write off an invoice",
        errors=(InvoiceNotFound, InvoiceIsVoid, OverAdjustment, IdempotencyKeyReused, IdempotencyKeyInFlight),
    )
    async def write_off_invoice(
        self,
        invoice_id: FromPath[UUID],
        data: JSONBody[WriteOffIn],
        adjustments: NamedDependency[Adjustments],
        caller: NamedDependency[Caller],
    ) -> WithETag[Adjustment]:
        """Give up all that is left on an invoice. From then on it takes no payments, until the write-off is reversed.

        409 if nothing is left.
        """
        write_off = await adjustments.write_off(caller.tenant, invoice_id, data)
        return created(write_off, f"/adjustments/{write_off.id}")

    @post(
        "/adjustments/{adjustment_id:str}/reverse",
        access=ACCOUNTANTS,
        summary="Reverse an adjustment",
        errors=(
            AdjustmentNotFound,
            AdjustmentReversed,
            AdjustmentIsReversal,
            IdempotencyKeyReused,
            IdempotencyKeyInFlight,
        ),
    )
    async def reverse_adjustment(
        self,
        adjustment_id: FromPath[UUID],
        data: JSONBody[AdjustmentReversal],
        adjustments: NamedDependency[Adjustments],
        caller: NamedDependency[Caller],
    ) -> WithETag[Adjustment]:
        """Take the whole of an adjustment back by another one that names it. From now on, the amount is owed again."""
        reversal = await adjustments.reverse(caller.tenant, adjustment_id, data.reason)
        return created(reversal, f"/adjustments/{reversal.id}")

    @get("/adjustments", access=READERS, summary="List adjustments")
    async def list_adjustments(
        self,
        page: NamedDependency[Page],
        adjustments: NamedDependency[Adjustments],
        caller: NamedDependency[Caller],
        filters: NamedDependency[AdjustmentFilters],
        school_id: OfSchool = None,
        student_id: OfStudent = None,
        payer_id: OfPayer = None,
        invoice_id: OfInvoice = None,
    ) -> Response[list[ListedAdjustment]]:
        """List credit notes, discounts, write-offs and reversals without their lines, newest last."""
        parents = {"school_id": school_id, "student_id": student_id, "payer_id": payer_id, "invoice_id": invoice_id}
        return page.answer(await adjustments.list(caller.tenant, page, filters, **parents))

    @get(
        "/invoices/{invoice_id:str}/adjustments",
        access=READERS,
        summary="List an invoice's adjustments",
        errors=(InvoiceNotFound,),
    )
    async def list_adjustments_of_invoice(
        self,
        invoice_id: FromPath[UUID],
        page: NamedDependency[Page],
        adjustments: NamedDependency[Adjustments],
        invoices: NamedDependency[Invoices],
        caller: NamedDependency[Caller],
        filters: NamedDependency[AdjustmentFilters],
    ) -> Response[list[ListedAdjustment]]:
        """List an invoice's adjustments and their reversals, newest last."""
        listed = await adjustments.list(caller.tenant, page, filters, invoice_id=invoice_id)
        if not listed.rows:
            await invoices.get(caller.tenant, invoice_id)
        return page.answer(listed)

    @get("/adjustments/{adjustment_id:str}", access=READERS, summary="Get an adjustment", errors=(AdjustmentNotFound,))
    async def get_adjustment(
        self,
        adjustment_id: FromPath[UUID],
        adjustments: NamedDependency[Adjustments],
        caller: NamedDependency[Caller],
    ) -> WithETag[Adjustment]:
        """Return one adjustment, with its lines."""
        return with_etag(await adjustments.get(caller.tenant, adjustment_id))


def room(database: Database) -> Room:
    """Return what adjustments bring to the application."""
    tag = Tag("adjustments", "What is owed less, without money: credit notes, discounts and write-offs.")
    return Room(tag, AdjustmentController, constraint_errors=CONSTRAINT_ERRORS, adjustments=Adjustments(database))
