"""The bodies of /invoices."""

from datetime import date
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from school_billing.money import Amount, Money
from school_billing.platform.web.types import Instant, LongText

Description = Annotated[LongText, Meta(examples=["Annual tuition"])]
VoidReason = Annotated[
    LongText, Meta(min_length=1, description="Why the invoice was voided.", examples=["Entered twice"])
]
DueDate = Annotated[
    date,
    Meta(description="The last day to pay, in the school's time zone. It may be in the past.", examples=["2026-02-28"]),
]


class InvoiceStatus(StrEnum):
    """The status of an invoice. It follows from its payments and refunds."""

    PENDING = "PENDING"
    """Nothing is paid."""
    PARTIAL = "PARTIAL"
    """A part is paid."""
    PAID = "PAID"
    """The whole amount is paid."""
    VOID = "VOID"
    """Nothing is owed on it, and no total counts it."""


class Invoice(Struct, frozen=True):
    """An invoice, with the totals of its payments and refunds."""

    id: UUID
    school_id: UUID
    student_id: UUID
    total_amount: Money
    status: InvoiceStatus
    issued_at: Instant
    due_date: DueDate
    description: Description | None
    voided_at: Instant | None
    void_reason: VoidReason | None
    payments_total: Money
    """The sum of its payments."""
    refunds_total: Money
    """The sum of its refunds."""
    paid_total: Money
    """Payments less refunds."""
    balance_due: Money
    """The amount still owed; 0.00 if the invoice is void."""
    created_at: Instant
    updated_at: Instant


class InvoiceIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new invoice for a student."""

    student_id: UUID
    total_amount: Amount
    due_date: DueDate
    description: Description | None = None
    issued_at: Instant | None = None
    """Now by default."""


class InvoiceVoid(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The reason for voiding an invoice."""

    reason: VoidReason


class InvoicePatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of an invoice. A field that is absent stays as it is; null clears it."""

    student_id: UUID | UnsetType = UNSET
    """Another student of the same school. Only an invoice without payments can change its student."""
    total_amount: Amount | UnsetType = UNSET
    """At least the amount that is paid."""
    due_date: DueDate | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    issued_at: Instant | UnsetType = UNSET
