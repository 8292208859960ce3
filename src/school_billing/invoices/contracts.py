"""What goes in and out of /invoices."""

from datetime import date, datetime
from enum import Enum
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from school_billing.money import Amount, Money
from school_billing.platform.web.types import Instant, LongText

Description = Annotated[LongText, Meta(examples=["Annual tuition"])]
VoidReason = Annotated[LongText, Meta(min_length=1, description="Why it was voided.", examples=["Entered twice"])]
DueDate = Annotated[
    date,
    Meta(
        description="The last day to pay, in the school's time zone; may lie in the past.",
        examples=["2026-02-28"],
    ),
]


class InvoiceStatus(Enum):
    """Where an invoice stands; follows from its movements."""

    PENDING = "PENDING"
    """Nothing is paid."""
    PARTIAL = "PARTIAL"
    """Some is paid."""
    PAID = "PAID"
    """All is paid."""
    VOID = "VOID"
    """It counts for nothing."""


class Invoice(Struct, frozen=True):
    """An invoice, with what its movements come to."""

    id: UUID
    school_id: UUID
    student_id: UUID
    total_amount: Money
    status: InvoiceStatus
    issued_at: datetime
    due_date: DueDate
    description: Description | None
    voided_at: datetime | None
    void_reason: VoidReason | None
    payments_total: Money
    """The sum of its payments."""
    refunds_total: Money
    """The sum of its refunds."""
    paid_total: Money
    """Payments less refunds."""
    balance_due: Money
    """What is still owed; nothing for a void invoice."""
    created_at: datetime
    updated_at: datetime


class InvoiceIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An invoice to be raised on a student."""

    student_id: UUID
    total_amount: Amount
    due_date: DueDate
    description: Description | None = None
    issued_at: Instant | None = None
    """Now, if it is not given."""


class InvoiceVoid(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why an invoice is to count for nothing."""

    reason: VoidReason


class InvoicePatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What should change of an invoice; a field that is absent stays as it is, and null clears it."""

    student_id: UUID | UnsetType = UNSET
    """Another student of the same school; only while the invoice has no movements."""
    total_amount: Amount | UnsetType = UNSET
    """Not below what is paid."""
    due_date: DueDate | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    issued_at: Instant | UnsetType = UNSET
