"""The invoices table."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from msgspec.structs import asdict

from school_billing.auth.contracts import Tenant
from school_billing.invoices.contracts import Invoice, InvoiceFilters, InvoiceIn, InvoicePatch
from school_billing.invoices.errors import InvoiceHasPayments, InvoiceIsVoid, InvoiceNotFound
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.idempotency import once
from school_billing.platform.web.conditional import IfMatch, Versions, refuse_change
from school_billing.platform.web.json_body import is_given, set_or_none
from school_billing.platform.web.pages import ROWS, Listed, Page
from school_billing.students.errors import StudentNotFound

CREATE = Query(
    "invoices/create",
    Invoice,
    tenant=Tenant,
    student_id=UUID,
    total_amount=Decimal,
    issued_at=datetime | None,
    due_date=date,
    description=str | None,
)
GET = Query("invoices/get", Invoice, tenant=Tenant, invoice_id=UUID)
LIST = Query(
    "invoices/list",
    Invoice,
    tenant=Tenant,
    school_id=UUID | None,
    student_id=UUID | None,
    statuses=list[str] | None,
    open=bool | None,
    overdue=bool | None,
    due_from=date | None,
    due_to=date | None,
    issued_from=date | None,
    issued_to=date | None,
    **ROWS,
)
UPDATE = Query(
    "invoices/update",
    Invoice,
    tenant=Tenant,
    invoice_id=UUID,
    if_match=Versions,
    student_id=UUID | None,
    total_amount=Decimal | None,
    issued_at=datetime | None,
    due_date=date | None,
    description_given=bool,
    description=str | None,
)
VOID = Query("invoices/void", Invoice, tenant=Tenant, invoice_id=UUID, if_match=Versions, reason=str)
DELETE = Query("invoices/delete", Invoice, tenant=Tenant, invoice_id=UUID, if_match=Versions)


class Invoices:
    """Invoices. An invoice of another school than the tenant is an InvoiceNotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, tenant: Tenant, invoice: InvoiceIn) -> Invoice:
        """Add an invoice. StudentNotFound if there is no such student."""
        async with once(self._database):
            created = await self._database.one_or_none(
                CREATE,
                tenant=tenant,
                student_id=invoice.student_id,
                total_amount=invoice.total_amount,
                issued_at=invoice.issued_at,
                due_date=invoice.due_date,
                description=invoice.description,
            )
        if created is None:
            raise StudentNotFound
        return created

    async def get(self, tenant: Tenant, invoice_id: UUID) -> Invoice:
        """Return an invoice."""
        invoice = await self._database.one_or_none(GET, tenant=tenant, invoice_id=invoice_id)
        if invoice is None:
            raise InvoiceNotFound
        return invoice

    async def list(
        self,
        tenant: Tenant,
        page: Page,
        filters: InvoiceFilters,
        *,
        school_id: UUID | None = None,
        student_id: UUID | None = None,
    ) -> Listed[Invoice]:
        """Return a page of invoices."""
        values = asdict(filters)
        status = values.pop("status")
        return await page.read(
            self._database,
            LIST,
            tenant=tenant,
            school_id=school_id,
            student_id=student_id,
            statuses=status and status.split(","),
            **values,
        )

    async def update(self, tenant: Tenant, invoice_id: UUID, patch: InvoicePatch, if_match: IfMatch) -> Invoice:
        """Change the given fields of an invoice that is not void.

        InvoiceHasPayments if the student would change and the invoice has payments.
        """
        updated = await self._database.one_or_none(
            UPDATE,
            tenant=tenant,
            invoice_id=invoice_id,
            if_match=if_match.versions,
            student_id=set_or_none(patch.student_id),
            total_amount=set_or_none(patch.total_amount),
            issued_at=set_or_none(patch.issued_at),
            due_date=set_or_none(patch.due_date),
            description_given=is_given(patch.description),
            description=set_or_none(patch.description),
        )
        if updated is None:
            invoice = await self.get(tenant, invoice_id)
            error = InvoiceHasPayments("The invoice has payments, so it cannot change its student.")
            refuse_change(invoice, if_match, error if invoice.voided_at is None else InvoiceIsVoid())
        return updated

    async def void(self, tenant: Tenant, invoice_id: UUID, reason: str, if_match: IfMatch) -> Invoice:
        """Take an invoice out of every total. A check refuses it if payments are not refunded."""
        voided = await self._database.one_or_none(
            VOID, tenant=tenant, invoice_id=invoice_id, if_match=if_match.versions, reason=reason
        )
        if voided is None:
            refuse_change(await self.get(tenant, invoice_id), if_match, InvoiceIsVoid("The invoice is already void."))
        return voided

    async def delete(self, tenant: Tenant, invoice_id: UUID, if_match: IfMatch) -> None:
        """Delete an invoice. InvoiceHasPayments if it has payments, refunded or not."""
        deleted = await self._database.one_or_none(
            DELETE, tenant=tenant, invoice_id=invoice_id, if_match=if_match.versions
        )
        if deleted is None:
            error = InvoiceHasPayments("The invoice has payments and cannot be deleted.")
            refuse_change(await self.get(tenant, invoice_id), if_match, error)
