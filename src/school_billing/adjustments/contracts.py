"""The bodies of /adjustments, and of what makes them."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from msgspec import Struct

from school_billing.invoices.contracts import Line, Lines, require_total
from school_billing.money import Amount, Money
from school_billing.platform.web.types import Instant, Text
from school_billing.schools.contracts import Currency, DocumentNumber
from school_billing.schools.days import Moment


class AdjustmentReason(Text, most=500, lines=True, examples=["Sibling joined late"]):
    """Why less is owed, or why that was taken back."""


class AdjustmentKind(StrEnum):
    """Why less is owed. A reversal has the kind of what it reverses."""

    CREDIT_NOTE = "CREDIT_NOTE"
    """A part of the invoice was wrong, or was not delivered. In a school with an invoice_prefix it has a number."""
    DISCOUNT = "DISCOUNT"
    """The school asks for less."""
    WRITE_OFF = "WRITE_OFF"
    """The school no longer expects the money."""


class AdjustmentFilters(Struct, frozen=True):
    """The adjustments that a list shows. A filter that is None does not apply."""

    kind: AdjustmentKind | None = None
    number: str | None = None
    adjusted_from: date | None = None
    adjusted_to: date | None = None


class ListedAdjustment(Struct, frozen=True):
    """A credit note, a discount or a write-off, or the reversal of one. It never changes."""

    id: UUID
    school_id: UUID
    invoice_id: UUID
    reverses_id: UUID | None
    """The adjustment that this one takes back. From its adjusted_at on, that amount is owed again."""
    kind: AdjustmentKind
    number: DocumentNumber | None
    """Of a credit note, if the school had an invoice_prefix when it was made. A reversal has none."""
    amount: Money
    """Always above zero."""
    currency: Currency
    """The currency of the school."""
    reason: AdjustmentReason
    adjusted_at: Instant
    """From this moment on, less is owed."""
    created_at: Instant
    """When it was recorded."""
    updated_at: Instant


class Adjustment(ListedAdjustment, frozen=True):
    """A credit note, a discount or a write-off, or the reversal of one, with its lines."""

    lines: list[Line]
    """They sum to the amount. Empty if it has only an amount."""


class DiscountIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A discount on an invoice."""

    amount: Amount
    """At most what is owed on the invoice."""
    reason: AdjustmentReason
    adjusted_at: Moment | None = None
    """Now by default. A day means its beginning. Neither before the invoice's issued_at nor in the future."""


class CreditNoteIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A credit note on an invoice."""

    amount: Amount | None = None
    """Either this or `lines` is required. At most what is owed on the invoice."""
    lines: Lines | None = None
    """What is credited, in place of amount. They sum to more than zero."""
    reason: AdjustmentReason
    adjusted_at: Moment | None = None
    """Now by default. A day means its beginning. Neither before the invoice's issued_at nor in the future."""
    release: bool = False
    """true: if less is owed, money of receipts is taken off the invoice first, the youngest allocations first."""

    @property
    def total(self) -> Decimal:
        """The amount, or the sum of the lines. InvalidBody if not exactly one of them is given."""
        return require_total("amount", self.amount, self.lines)


class WriteOffIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The write-off of all that is left of an invoice."""

    reason: AdjustmentReason
    adjusted_at: Moment | None = None
    """Now by default. A day means its beginning. Neither before the invoice's issued_at nor in the future."""


class AdjustmentReversal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why an adjustment is taken back."""

    reason: AdjustmentReason


class ExportedAdjustment(Struct, frozen=True):
    """An adjustment in a file for the auditor: who, when and why."""

    id: UUID
    invoice_id: UUID
    invoice_number: str | None
    student_id: UUID
    full_name: str
    external_id: str | None
    kind: AdjustmentKind
    reverses_id: UUID | None
    number: str | None
    amount: Decimal
    reason: str
    adjusted_at: datetime
    recorded_at: datetime
    recorded_by: str | None
    """The actor in the audit trail: a user, an API key, or "role:..." for a change by hand."""
