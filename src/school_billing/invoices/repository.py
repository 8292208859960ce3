"""The invoices table."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec import Struct

from school_billing.invoices.contracts import Invoice, InvoiceIn, InvoicePatch, InvoiceStatus
from school_billing.invoices.errors import InvoiceHasPayments, InvoiceIsVoid, InvoiceNotFound
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.idempotency import once
from school_billing.platform.web.conditional import IfMatch, Versions
from school_billing.platform.web.json_body import is_given, set_or_none
from school_billing.platform.web.pages import Page
from school_billing.students.errors import StudentNotFound

_LISTED: dict[str, Any] = {
    "tenant": UUID | None,
    "status": str | None,
    "due_from": date | None,
    "due_to": date | None,
    "after": UUID,
    "limit": int,
    "offset": int,
}

CREATE = Query(
    "invoices/create",
    Invoice,
    tenant=UUID | None,
    student_id=UUID,
    total_amount=Decimal,
    issued_at=datetime | None,
    due_date=date,
    description=str | None,
)
GET = Query("invoices/get", Invoice, tenant=UUID | None, invoice_id=UUID)
LIST = Query("invoices/list", Invoice, **_LISTED)
LIST_OF_SCHOOL = Query("invoices/list_of_school", Invoice, school_id=UUID, **_LISTED)
LIST_OF_STUDENT = Query("invoices/list_of_student", Invoice, student_id=UUID, school_id=UUID | None, **_LISTED)
UPDATE = Query(
    "invoices/update",
    Invoice,
    tenant=UUID | None,
    invoice_id=UUID,
    if_match=Versions,
    student_id=UUID | None,
    total_amount=Decimal | None,
    issued_at=datetime | None,
    due_date=date | None,
    description_given=bool,
    description=str | None,
)
VOID = Query("invoices/void", Invoice, tenant=UUID | None, invoice_id=UUID, if_match=Versions, reason=str)
DELETE = Query("invoices/delete", Invoice, tenant=UUID | None, invoice_id=UUID, if_match=Versions)


class InvoiceFilter(Struct, frozen=True, kw_only=True):
    """Which invoices a list holds; None means any."""

    school_id: UUID | None = None
    student_id: UUID | None = None
    status: InvoiceStatus | None = None
    due_from: date | None = None
    due_to: date | None = None


class Invoices:
    """Invoices; `tenant` is the school that the caller is bound to, None for all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, tenant: UUID | None, invoice: InvoiceIn) -> Invoice:
        """Raise an invoice on a student.

        Raises:
            StudentNotFound: There is no such student, or it is another school's.
        """
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

    async def get(self, tenant: UUID | None, invoice_id: UUID) -> Invoice:
        """Return an invoice.

        Raises:
            InvoiceNotFound: There is none of that id, or it is another school's.
        """
        invoice = await self._database.one_or_none(GET, tenant=tenant, invoice_id=invoice_id)
        if invoice is None:
            raise InvoiceNotFound
        return invoice

    async def list(self, tenant: UUID | None, wanted: InvoiceFilter, page: Page) -> list[Invoice]:
        """Return a page of invoices and one more, by the narrowest index."""
        common: dict[str, Any] = {
            "tenant": tenant,
            "status": wanted.status and wanted.status.value,
            "due_from": wanted.due_from,
            "due_to": wanted.due_to,
            "after": page.after,
            "limit": page.fetch,
            "offset": page.offset,
        }
        school_id = wanted.school_id or tenant
        if wanted.student_id is not None:
            return await self._database.all(
                LIST_OF_STUDENT, student_id=wanted.student_id, school_id=school_id, **common
            )
        if school_id is not None:
            return await self._database.all(LIST_OF_SCHOOL, school_id=school_id, **common)
        return await self._database.all(LIST, **common)

    async def update(self, tenant: UUID | None, invoice_id: UUID, patch: InvoicePatch, if_match: IfMatch) -> Invoice:
        """Change what `patch` names.

        Raises:
            InvoiceNotFound: There is none of that id, or it is another school's.
            PreconditionFailed: It is of another version than `if_match` names.
            InvoiceIsVoid: It counts for nothing any more.
            InvoiceHasPayments: It would move to another student although money has moved.
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
            if_match.require(invoice)
            if invoice.voided_at is not None:
                raise InvoiceIsVoid
            raise InvoiceHasPayments("The invoice has movements and cannot change its student.")
        return updated

    async def void(self, tenant: UUID | None, invoice_id: UUID, reason: str, if_match: IfMatch) -> Invoice:
        """Let an invoice count for nothing from now on; only where nothing is paid net.

        Raises:
            InvoiceNotFound: There is none of that id, or it is another school's.
            PreconditionFailed: It is of another version than `if_match` names.
            InvoiceIsVoid: It is already.
        """
        voided = await self._database.one_or_none(
            VOID, tenant=tenant, invoice_id=invoice_id, if_match=if_match.versions, reason=reason
        )
        if voided is None:
            if_match.require(await self.get(tenant, invoice_id))
            raise InvoiceIsVoid("The invoice is void already.")
        return voided

    async def delete(self, tenant: UUID | None, invoice_id: UUID, if_match: IfMatch) -> None:
        """Delete an invoice without movements.

        Raises:
            InvoiceNotFound: There is none of that id, or it is another school's.
            PreconditionFailed: It is of another version than `if_match` names.
            InvoiceHasPayments: Money has moved on it.
        """
        deleted = await self._database.one_or_none(
            DELETE, tenant=tenant, invoice_id=invoice_id, if_match=if_match.versions
        )
        if deleted is None:
            if_match.require(await self.get(tenant, invoice_id))
            raise InvoiceHasPayments("The invoice has movements and cannot be deleted.")
