"""/invoices."""

from datetime import date
from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.openapi.spec import Tag
from litestar.params import FromPath, JSONBody, QueryParameter

from school_billing.auth.contracts import Caller
from school_billing.auth.guards import ACCOUNTANTS, READERS
from school_billing.invoices.contracts import (
    Invoice,
    InvoiceFilters,
    InvoiceIn,
    InvoicePatch,
    InvoiceVoid,
    ListedInvoice,
    Statuses,
)
from school_billing.invoices.errors import (
    CONSTRAINT_ERRORS,
    InvoiceAdjusted,
    InvoiceHasLines,
    InvoiceHasPayments,
    InvoiceIsVoid,
    InvoiceLinesAreFixed,
    InvoiceNotFound,
    InvoiceNumbered,
    IssuedAfterAdjustment,
    IssuedAfterAllocation,
    Overpayment,
    OverRefund,
)
from school_billing.invoices.repository import Invoices
from school_billing.payers.errors import PayerNotFound
from school_billing.payers.repository import Payers
from school_billing.platform.database.pool import Database
from school_billing.platform.idempotency import IdempotencyKeyInFlight, IdempotencyKeyReused
from school_billing.platform.rooms import Room
from school_billing.platform.web.conditional import IfMatch
from school_billing.platform.web.errors import InUse, PreconditionFailed
from school_billing.platform.web.pages import Page
from school_billing.platform.web.responses import WithETag, created, with_etag
from school_billing.schools.errors import PeriodClosed
from school_billing.students.errors import StudentNotFound
from school_billing.students.repository import Students

OfSchool = Annotated[UUID | None, QueryParameter(description="Only invoices of this school.")]
OfStudent = Annotated[UUID | None, QueryParameter(description="Only invoices of this student.")]
OfPayer = Annotated[UUID | None, QueryParameter(description="Only invoices that this payer owes.")]
WithNumber = Annotated[
    str | None, QueryParameter(max_length=50, description="Only invoices with this number, in capitals or not.")
]
WithStatus = Annotated[
    Statuses | None,
    QueryParameter(description="Only invoices with this status, or with one of several: PENDING,PARTIAL."),
]
Open = Annotated[
    bool | None,
    QueryParameter(description="true: only invoices on which something is owed. false: only the others."),
]
Overdue = Annotated[
    bool | None,
    QueryParameter(
        description="true: only invoices on which something is owed and whose due date is past, in the school's time "
        "zone. false: only the others."
    ),
]
DueFrom = Annotated[date | None, QueryParameter(description="Only invoices due on this day or later.")]
DueTo = Annotated[date | None, QueryParameter(description="Only invoices due on this day or earlier.")]
IssuedFrom = Annotated[
    date | None, QueryParameter(description="Only invoices issued on this day or later, in the school's time zone.")
]
IssuedTo = Annotated[
    date | None, QueryParameter(description="Only invoices issued on this day or earlier, in the school's time zone.")
]
OfRun = Annotated[UUID | None, QueryParameter(description="Only invoices that this billing run made.")]
OfLateInvoice = Annotated[UUID | None, QueryParameter(description="Only the late fees that this invoice has.")]


async def provide_invoice_filters(
    number: WithNumber = None,
    status: WithStatus = None,
    open: Open = None,  # noqa: A002 - the name of the parameter
    overdue: Overdue = None,
    due_from: DueFrom = None,
    due_to: DueTo = None,
    issued_from: IssuedFrom = None,
    issued_to: IssuedTo = None,
    billing_run_id: OfRun = None,
    late_invoice_id: OfLateInvoice = None,
) -> InvoiceFilters:
    """Read the filters of a list of invoices."""
    return InvoiceFilters(
        number, status, open, overdue, due_from, due_to, issued_from, issued_to, billing_run_id, late_invoice_id
    )


class InvoiceController(Controller):
    """The routes of invoices."""

    path = "/"
    tags = ("invoices",)
    dependencies = {"filters": Provide(provide_invoice_filters)}

    @post(
        "/invoices",
        access=ACCOUNTANTS,
        summary="Add an invoice",
        errors=(StudentNotFound, PayerNotFound, PeriodClosed, IdempotencyKeyReused, IdempotencyKeyInFlight),
    )
    async def create_invoice(
        self, data: JSONBody[InvoiceIn], invoices: NamedDependency[Invoices], caller: NamedDependency[Caller]
    ) -> WithETag[Invoice]:
        """Bill a student. The invoice belongs to the student's school.

        The student's payer owes it if there is only one. With several payers, or none, it is the student's own, unless
        `payer_id` names a payer.

        Either `total_amount` or `lines` is given. Lines sum to the total and never change.
        """
        invoice = await invoices.create(caller.tenant, data)
        return created(invoice, f"/invoices/{invoice.id}")

    @get("/invoices", access=READERS, summary="List invoices")
    async def list_invoices(
        self,
        page: NamedDependency[Page],
        invoices: NamedDependency[Invoices],
        caller: NamedDependency[Caller],
        filters: NamedDependency[InvoiceFilters],
        school_id: OfSchool = None,
        student_id: OfStudent = None,
        payer_id: OfPayer = None,
    ) -> Response[list[ListedInvoice]]:
        """List invoices without their lines, newest last."""
        parents = {"school_id": school_id, "student_id": student_id, "payer_id": payer_id}
        return page.answer(await invoices.list(caller.tenant, page, filters, **parents))

    @get(
        "/students/{student_id:str}/invoices",
        access=READERS,
        summary="List a student's invoices",
        errors=(StudentNotFound,),
    )
    async def list_invoices_of_student(
        self,
        student_id: FromPath[UUID],
        page: NamedDependency[Page],
        invoices: NamedDependency[Invoices],
        students: NamedDependency[Students],
        caller: NamedDependency[Caller],
        filters: NamedDependency[InvoiceFilters],
    ) -> Response[list[ListedInvoice]]:
        """List a student's invoices, newest last."""
        listed = await invoices.list(caller.tenant, page, filters, student_id=student_id)
        if not listed.rows:
            await students.get(caller.tenant, student_id)
        return page.answer(listed)

    @get("/payers/{payer_id:str}/invoices", access=READERS, summary="List a payer's invoices", errors=(PayerNotFound,))
    async def list_invoices_of_payer(
        self,
        payer_id: FromPath[UUID],
        page: NamedDependency[Page],
        invoices: NamedDependency[Invoices],
        payers: NamedDependency[Payers],
        caller: NamedDependency[Caller],
        filters: NamedDependency[InvoiceFilters],
    ) -> Response[list[ListedInvoice]]:
        """List the invoices that a payer owes, newest last."""
        listed = await invoices.list(caller.tenant, page, filters, payer_id=payer_id)
        if not listed.rows:
            await payers.get(caller.tenant, payer_id)
        return page.answer(listed)

    @get("/invoices/{invoice_id:str}", access=READERS, summary="Get an invoice", errors=(InvoiceNotFound,))
    async def get_invoice(
        self, invoice_id: FromPath[UUID], invoices: NamedDependency[Invoices], caller: NamedDependency[Caller]
    ) -> WithETag[Invoice]:
        """Return one invoice, with its lines."""
        return with_etag(await invoices.get(caller.tenant, invoice_id))

    @patch(
        "/invoices/{invoice_id:str}",
        access=ACCOUNTANTS,
        summary="Change an invoice",
        errors=(
            InvoiceNotFound,
            StudentNotFound,
            InvoiceHasLines,
            InvoiceLinesAreFixed,
            InvoiceHasPayments,
            InvoiceIsVoid,
            IssuedAfterAdjustment,
            IssuedAfterAllocation,
            Overpayment,
            OverRefund,
            PeriodClosed,
            PreconditionFailed,
        ),
    )
    async def update_invoice(
        self,
        invoice_id: FromPath[UUID],
        data: JSONBody[InvoicePatch],
        invoices: NamedDependency[Invoices],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> WithETag[Invoice]:
        """Change the given fields. null clears the description.

        409 if the invoice is void, if the total would change and the invoice has lines, if the total would fall below
        what is paid, credited and written off, or was on an earlier day, if the student would change and the invoice
        has payments, or if it would be issued after money of a receipt paid it or after an adjustment. The payer never
        changes.
        """
        return with_etag(await invoices.update(caller.tenant, invoice_id, data, if_match))

    @post(
        "/invoices/{invoice_id:str}/void",
        status_code=200,
        access=ACCOUNTANTS,
        summary="Void an invoice",
        errors=(
            InvoiceNotFound,
            InvoiceHasPayments,
            InvoiceAdjusted,
            InvoiceIsVoid,
            PeriodClosed,
            PreconditionFailed,
        ),
    )
    async def void_invoice(
        self,
        invoice_id: FromPath[UUID],
        data: JSONBody[InvoiceVoid],
        invoices: NamedDependency[Invoices],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> WithETag[Invoice]:
        """Void an invoice for good. From now on nothing is owed on it, and it takes no payments.

        409 if a payment on it is not refunded, if an adjustment is not reversed, or if it is already void.
        """
        return with_etag(await invoices.void(caller.tenant, invoice_id, data.reason, if_match))

    @delete(
        "/invoices/{invoice_id:str}",
        access=ACCOUNTANTS,
        summary="Delete an invoice",
        errors=(InvoiceNotFound, InUse, InvoiceNumbered, PeriodClosed, PreconditionFailed),
    )
    async def delete_invoice(
        self,
        invoice_id: FromPath[UUID],
        invoices: NamedDependency[Invoices],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> None:
        """Delete an invoice. 409 if it has a number, late fees, payments or adjustments, taken back or not: void it."""
        await invoices.delete(caller.tenant, invoice_id, if_match)


def room(database: Database) -> Room:
    """Return what invoices bring to the application."""
    tag = Tag("invoices", "What students are billed.")
    return Room(tag, InvoiceController, constraint_errors=CONSTRAINT_ERRORS, invoices=Invoices(database))
