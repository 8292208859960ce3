"""The adjustments table. A trigger of it moves the totals of the invoices."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, NoReturn, TypeAlias
from uuid import UUID

from msgspec.structs import asdict

from school_billing.adjustments.contracts import (
    Adjustment,
    AdjustmentFilters,
    AdjustmentKind,
    CreditNoteIn,
    DiscountIn,
    ExportedAdjustment,
    ListedAdjustment,
    WriteOffIn,
)
from school_billing.adjustments.errors import (
    RELEASE,
    SENTENCES,
    AdjustmentIsReversal,
    AdjustmentNotFound,
    OverAdjustment,
)
from school_billing.auth.contracts import Tenant
from school_billing.invoices.contracts import LineIn
from school_billing.invoices.errors import DATED_BY_WAITING, InvoiceIsVoid, InvoiceNotFound, figures_of
from school_billing.invoices.repository import Invoices, columns_of, line_with_cents
from school_billing.platform.database.errors import ConstraintViolated
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import AnyQuery, Query
from school_billing.platform.idempotency import once
from school_billing.platform.web.json_body import whole
from school_billing.platform.web.pages import Listed, Page
from school_billing.schools.contracts import DocumentNumber
from school_billing.schools.days import Moment
from school_billing.schools.errors import refuse_cents

CREATE = Query("adjustments/create", Adjustment, again_on=DATED_BY_WAITING)
WRITE_OFF = Query("adjustments/write_off", Adjustment, again_on=DATED_BY_WAITING)
REVERSE = Query("adjustments/reverse", Adjustment, again_on=DATED_BY_WAITING)
GET = Query("adjustments/get", Adjustment)
LIST = Query("adjustments/list", ListedAdjustment)
EXPORT = Query("adjustments/export", ExportedAdjustment)

Exported: TypeAlias = list[ExportedAdjustment]


class Adjustments:
    """Adjustments. One of another school than the tenant is an AdjustmentNotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def credit(self, tenant: Tenant, invoice_id: UUID, note: CreditNoteIn) -> Adjustment:
        """Add a credit note.

        Raises:
            InvalidBody: It has not exactly one of amount and lines, or the lines sum to no amount.
            OverAdjustment: Less is owed. The error says how much.
            PaidDirectly: Money that no receipt paid would have to be released.
            InvoiceNotFound, InvoiceIsVoid: There is no such invoice, or it is void.
        """
        lines = note.lines or []
        try:
            return await self._create(
                tenant,
                invoice_id,
                AdjustmentKind.CREDIT_NOTE,
                note,
                amount=note.total,
                lines=lines,
                release=note.release,
            )
        except ConstraintViolated as violated:
            if lines and violated.constraint == "amounts_fit_the_currency":
                raise refuse_cents(line_with_cents(lines))(**violated.facts) from violated
            raise

    async def discount(self, tenant: Tenant, invoice_id: UUID, discount: DiscountIn) -> Adjustment:
        """Add a discount. Raises OverAdjustment, InvoiceNotFound or InvoiceIsVoid, like a credit note."""
        return await self._create(tenant, invoice_id, AdjustmentKind.DISCOUNT, discount, amount=discount.amount)

    async def write_off(self, tenant: Tenant, invoice_id: UUID, write_off: WriteOffIn) -> Adjustment:
        """Write off all that is left. Raises OverAdjustment if that is nothing, InvoiceNotFound and InvoiceIsVoid."""
        at = write_off.adjusted_at or Moment()
        async with once(self._database):
            written_off = await self._database.one_or_none(
                WRITE_OFF,
                tenant=tenant,
                invoice_id=invoice_id,
                reason=write_off.reason,
                adjusted_at=at.instant,
                adjusted_on=at.day,
            )
        if written_off is None:
            await self._refuse(tenant, invoice_id, WRITE_OFF)
        return whole(written_off)

    async def reverse(self, tenant: Tenant, adjustment_id: UUID, reason: str) -> Adjustment:
        """Take an adjustment back, and return the reversal.

        Raises:
            AdjustmentNotFound: There is no such adjustment.
            AdjustmentIsReversal: It is a reversal itself.
            AdjustmentReversed: It is reversed already.
        """
        async with once(self._database):
            reversal = await self._database.one_or_none(
                REVERSE, tenant=tenant, adjustment_id=adjustment_id, reason=reason
            )
        if reversal is None:
            await self.get(tenant, adjustment_id)
            raise AdjustmentIsReversal
        return whole(reversal)

    async def get(self, tenant: Tenant, adjustment_id: UUID) -> Adjustment:
        """Return an adjustment."""
        return whole(
            await self._database.one_or_raise(GET, AdjustmentNotFound, tenant=tenant, adjustment_id=adjustment_id)
        )

    async def list(
        self,
        tenant: Tenant,
        page: Page,
        filters: AdjustmentFilters,
        *,
        school_id: UUID | None = None,
        student_id: UUID | None = None,
        payer_id: UUID | None = None,
        invoice_id: UUID | None = None,
    ) -> Listed[ListedAdjustment]:
        """Return a page of adjustments."""
        return await page.read(
            self._database,
            LIST,
            tenant=tenant,
            school_id=school_id,
            student_id=student_id,
            payer_id=payer_id,
            invoice_id=invoice_id,
            **_sought(filters),
        )

    def export(
        self, tenant: Tenant, school_id: UUID, filters: AdjustmentFilters, **parents: UUID | None
    ) -> AsyncGenerator[Exported]:
        """Yield the adjustments of a school, some at a time; `parents` are student_id, payer_id and invoice_id."""
        return self._database.stream(
            EXPORT, school_id, tenant=tenant, school_id=school_id, **parents, **_sought(filters)
        )

    async def _create(
        self,
        tenant: Tenant,
        invoice_id: UUID,
        kind: AdjustmentKind,
        adjustment: CreditNoteIn | DiscountIn,
        *,
        amount: object,
        lines: Sequence[LineIn] = (),
        release: bool = False,
    ) -> Adjustment:
        at = adjustment.adjusted_at or Moment()
        try:
            async with once(self._database):
                created = await self._database.one_or_raise(
                    CREATE,
                    InvoiceNotFound,
                    tenant=tenant,
                    invoice_id=invoice_id,
                    kind=kind,
                    amount=amount,
                    reason=adjustment.reason,
                    adjusted_at=at.instant,
                    adjusted_on=at.day,
                    **columns_of(lines),
                    release=release,
                )
        except ConstraintViolated as violated:
            if violated.constraint != "invoices_paid_at_most_total":
                raise
            can_release = kind is AdjustmentKind.CREDIT_NOTE and not release
            await self._refuse(tenant, invoice_id, CREATE, can_release=can_release)
        return whole(created)

    async def _refuse(
        self, tenant: Tenant, invoice_id: UUID, query: AnyQuery, *, can_release: bool = False
    ) -> NoReturn:
        """Raise why nothing was taken off the invoice, with its figures."""
        invoice = await Invoices(self._database).get(tenant, invoice_id)
        if invoice.voided_at is not None:
            raise InvoiceIsVoid
        figures = figures_of(invoice)
        hint = RELEASE if can_release and invoice.paid_total > 0 else ""
        raise OverAdjustment(SENTENCES[query.name].format(**figures) + hint, figures=figures)


def _sought(filters: AdjustmentFilters) -> dict[str, Any]:
    """Return the filters in the form in which the values are stored."""
    return asdict(filters) | {"number": DocumentNumber.sought(filters.number)}
