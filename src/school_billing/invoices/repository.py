"""The invoices table."""

from collections.abc import Mapping, Sequence
from typing import NoReturn
from uuid import UUID

from msgspec.structs import asdict

from school_billing.auth.contracts import Tenant
from school_billing.invoices.contracts import (
    Invoice,
    InvoiceFilters,
    InvoiceIn,
    InvoicePatch,
    Line,
    LineIn,
    LineOfInvoice,
    ListedInvoice,
    total_of,
)
from school_billing.invoices.errors import (
    SENTENCES,
    InvoiceHasPayments,
    InvoiceIsVoid,
    InvoiceNotFound,
    figures_of,
)
from school_billing.platform.database.errors import ConstraintViolated
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.idempotency import once
from school_billing.platform.web.conditional import IfMatch, refuse_change
from school_billing.platform.web.errors import FieldError
from school_billing.platform.web.json_body import is_given, set_or_none, whole
from school_billing.platform.web.pages import Listed, Page
from school_billing.schools.contracts import DocumentNumber
from school_billing.schools.days import Moment
from school_billing.schools.errors import refuse_cents
from school_billing.students.errors import StudentNotFound

CREATE = Query("invoices/create", Invoice)
GET = Query("invoices/get", Invoice)
LINES = Query("invoices/lines", LineOfInvoice)
LIST = Query("invoices/list", ListedInvoice)
# New lines that waited for those of another change take their places.
UPDATE = Query("invoices/update", Invoice, again_on={"invoice_lines_position_key"})
VOID = Query("invoices/void", Invoice)
DELETE = Query("invoices/delete", ListedInvoice)


class Invoices:
    """Invoices. An invoice of another school than the tenant is an InvoiceNotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, tenant: Tenant, invoice: InvoiceIn) -> Invoice:
        """Add an invoice.

        Raises:
            InvalidBody: It has not exactly one of total_amount and lines, or the lines sum to no amount.
            StudentNotFound, PayerNotFound: There is no such student, or no such payer in the student's school.
        """
        issued = invoice.issued_at or Moment()
        try:
            async with once(self._database):
                created = await self._database.one_or_raise(
                    CREATE,
                    StudentNotFound,
                    tenant=tenant,
                    student_id=invoice.student_id,
                    payer_id=invoice.payer_id,
                    total_amount=invoice.total,
                    issued_at=issued.instant,
                    issued_on=issued.day,
                    due_date=invoice.due_date,
                    description=invoice.description,
                    **columns_of(invoice.lines or []),
                )
        except ConstraintViolated as violated:
            if invoice.lines and violated.constraint == "amounts_fit_the_currency":
                raise refuse_cents(line_with_cents(invoice.lines))(**violated.facts) from violated
            raise
        return whole(created)

    async def get(self, tenant: Tenant, invoice_id: UUID) -> Invoice:
        """Return an invoice."""
        return whole(await self._database.one_or_raise(GET, InvoiceNotFound, tenant=tenant, invoice_id=invoice_id))

    async def lines(self, tenant: Tenant, invoice_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[Line]]:
        """Return the lines of those invoices that have some."""
        lines: dict[UUID, list[Line]] = {}
        for line in await self._database.all(LINES, tenant=tenant, invoice_ids=invoice_ids):
            lines.setdefault(line.invoice_id, []).append(line)
        return lines

    async def list(
        self,
        tenant: Tenant,
        page: Page,
        filters: InvoiceFilters,
        *,
        school_id: UUID | None = None,
        student_id: UUID | None = None,
        payer_id: UUID | None = None,
    ) -> Listed[ListedInvoice]:
        """Return a page of invoices."""
        values = asdict(filters)
        status, number = values.pop("status"), values.pop("number")
        return await page.read(
            self._database,
            LIST,
            tenant=tenant,
            school_id=school_id,
            student_id=student_id,
            payer_id=payer_id,
            number=DocumentNumber.sought(number),
            statuses=status and status.split(","),
            **values,
        )

    async def update(self, tenant: Tenant, invoice_id: UUID, patch: InvoicePatch, if_match: IfMatch) -> Invoice:
        """Change the given fields of an invoice that is not void.

        Raises:
            InvalidBody: Both total_amount and lines are given, or the lines sum to no amount.
            InvoiceHasPayments: The student would change, and the invoice has payments or adjustments.
            InvoiceHasLines: The total would change, and not the lines of which it is the sum.
            InvoiceLinesAreFixed: Something is paid or credited, or the invoice has a number.
        """
        issued = patch.issued_at or Moment()
        lines = set_or_none(patch.lines)
        try:
            updated = await self._database.one_or_none(
                UPDATE,
                tenant=tenant,
                invoice_id=invoice_id,
                if_match=if_match.versions,
                student_id=set_or_none(patch.student_id),
                total_amount=total_of("total_amount", set_or_none(patch.total_amount), lines),
                lines_given=is_given(patch.lines),
                **columns_of(lines or []),
                issued_at=issued.instant,
                issued_on=issued.day,
                due_date=set_or_none(patch.due_date),
                description_given=is_given(patch.description),
                description=set_or_none(patch.description),
            )
        except ConstraintViolated as violated:
            if lines and violated.constraint == "amounts_fit_the_currency":
                raise refuse_cents(line_with_cents(lines))(**violated.facts) from violated
            await self.refuse(tenant, invoice_id, violated)
        if updated is None:
            invoice = await self.get(tenant, invoice_id)
            error = InvoiceHasPayments(
                "The invoice has payments or adjustments, so it cannot change its student. Take them back, void it and"
                " bill the other.",
                figures=figures_of(invoice),
            )
            refuse_change(invoice, if_match, error if invoice.voided_at is None else InvoiceIsVoid())
        return whole(updated)

    async def void(self, tenant: Tenant, invoice_id: UUID, reason: str, if_match: IfMatch) -> Invoice:
        """Take an invoice out of every total. The schema refuses it if something on it is not refunded or reversed."""
        try:
            voided = await self._database.one_or_none(
                VOID, tenant=tenant, invoice_id=invoice_id, if_match=if_match.versions, reason=reason
            )
        except ConstraintViolated as violated:
            await self.refuse(tenant, invoice_id, violated)
        if voided is None:
            refuse_change(await self.get(tenant, invoice_id), if_match, InvoiceIsVoid("The invoice is already void."))
        return whole(voided)

    async def delete(self, tenant: Tenant, invoice_id: UUID, if_match: IfMatch) -> None:
        """Delete an invoice. InvoiceHasPayments if it has payments, refunded or not. A trigger keeps a numbered one."""
        deleted = await self._database.one_or_none(
            DELETE, tenant=tenant, invoice_id=invoice_id, if_match=if_match.versions
        )
        if deleted is None:
            invoice = await self.get(tenant, invoice_id)
            error = InvoiceHasPayments(
                "The invoice has payments and cannot be deleted. Take back or refund what is paid, then void it.",
                figures=figures_of(invoice),
            )
            refuse_change(invoice, if_match, error)

    async def refuse(
        self, tenant: Tenant, invoice_id: UUID, violated: ConstraintViolated, errors: Sequence[FieldError] = ()
    ) -> NoReturn:
        """Raise the error of a refused change with the figures of the invoice, or `violated` if it needs none."""
        known = SENTENCES.get((violated.constraint, violated.query.name)) or SENTENCES.get(violated.constraint)
        if known is None:
            raise violated
        error, sentence = known
        invoice = await self.get(tenant, invoice_id)
        figures = figures_of(invoice)
        settled = invoice.total_amount - invoice.balance_due
        raise error(sentence.format(**figures, settled=settled), errors, figures) from violated


def columns_of(lines: Sequence[LineIn]) -> dict[str, Sequence[object]]:
    """Return lines as the columns that statements take."""
    return {
        "line_descriptions": [line.description for line in lines],
        "line_categories": [line.category for line in lines],
        "line_amounts": [line.amount for line in lines],
    }


def line_with_cents(lines: Sequence[LineIn]) -> str:
    """Return the field of the first amount that has cents."""
    return next(f"lines[{place}].amount" for place, line in enumerate(lines) if line.amount % 1)
