"""The bodies of /invoices."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from school_billing.fee_plans.contracts import Category, LineDescription
from school_billing.money import Amount, Money, SignedAmount
from school_billing.platform.web.errors import FieldError, InvalidBody
from school_billing.platform.web.types import Instant, Scalar, Text
from school_billing.schools.contracts import DocumentNumber
from school_billing.schools.days import Moment


class Description(Text, least=0, most=500, lines=True, examples=["Annual tuition"]):
    """What the invoice is for. It may have several lines."""


LINES_MOST = 100
"""The most lines of an invoice."""
TOTAL_MOST = Decimal("9999999999.99")


class VoidReason(Text, most=500, lines=True, examples=["Entered twice"]):
    """Why the invoice was voided."""


DueDate = Annotated[
    date,
    Meta(description="The last day to pay, in the school's time zone. It may be in the past.", examples=["2026-02-28"]),
]


class InvoiceStatus(StrEnum):
    """The status of an invoice. It follows from its payments, refunds and adjustments."""

    PENDING = "PENDING"
    """Something is owed, and nothing is paid."""
    PARTIAL = "PARTIAL"
    """Something is owed, and something is paid."""
    PAID = "PAID"
    """Nothing is left, and something is paid."""
    CREDITED = "CREDITED"
    """Nothing is left and nothing is paid: all is credited or discounted."""
    WRITTEN_OFF = "WRITTEN_OFF"
    """Nothing is left, because the school gave up a part of it. It takes no payments."""
    VOID = "VOID"
    """Nothing is owed on it, and no total counts it."""


class Statuses(Scalar, str):
    """Statuses of invoices, separated by commas."""

    schema = {
        "type": "string",
        "pattern": "^({0})(,({0}))*$".format("|".join(InvoiceStatus)),
        "examples": ["PENDING,PARTIAL"],
    }

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read statuses. ValueError if one is unknown."""
        if not isinstance(value, str) or not set(InvoiceStatus).issuperset(value.split(",")):
            raise ValueError(f"must be one or more of {', '.join(InvoiceStatus)}, separated by commas")
        return cls(value)


class InvoiceFilters(Struct, frozen=True):
    """The invoices that a list shows. A filter that is None does not apply."""

    number: str | None = None
    status: Statuses | None = None
    open: bool | None = None
    overdue: bool | None = None
    due_from: date | None = None
    due_to: date | None = None
    issued_from: date | None = None
    issued_to: date | None = None
    billing_run_id: UUID | None = None
    late_invoice_id: UUID | None = None


class Line(Struct, frozen=True):
    """A line of an invoice."""

    position: int
    """1 for the first line."""
    description: LineDescription
    category: Category | None
    amount: Money
    """Negative if it is a discount."""


class ListedInvoice(Struct, frozen=True):
    """An invoice, with the totals of its payments, refunds and adjustments."""

    id: UUID
    school_id: UUID
    student_id: UUID
    payer_id: UUID | None
    """The payer who owes it; null if the student does. It never changes."""
    number: DocumentNumber | None
    """Null if the school had no invoice_prefix when the invoice was made. It never changes."""
    total_amount: Money
    status: InvoiceStatus
    issued_at: Instant
    due_date: DueDate
    description: Description | None
    voided_at: Instant | None
    void_reason: VoidReason | None
    early_discount: Money | None
    """What is taken off if the rest is paid no later than early_until; null if nothing is. It never changes."""
    early_until: Instant | None
    """The last moment at which a payment is early, the end of a day of the school; null without early_discount."""
    credited_total: Money
    """The sum of its credit notes, without those that were reversed."""
    discounted_total: Money
    """The sum of its discounts, without those that were reversed."""
    written_off_total: Money
    """The sum of its write-offs, without those that were reversed."""
    payments_total: Money
    """The sum of its payments."""
    refunds_total: Money
    """The sum of its refunds."""
    paid_total: Money
    """Payments less refunds."""
    balance_due: Money
    """The amount still owed: total_amount less what is credited, discounted, written off and paid; 0.00 if void."""
    late_invoice_id: UUID | None
    """Of a late fee: the invoice that was overdue. Null otherwise."""
    created_at: Instant
    updated_at: Instant


class Invoice(ListedInvoice, frozen=True):
    """An invoice, with its lines and the totals of its payments, refunds and adjustments."""

    lines: list[Line]
    """They sum to the total_amount, and never change. Empty if the invoice has only a total."""


class LineOfInvoice(Line, frozen=True):
    """A line among those of several invoices."""

    invoice_id: UUID


class LineIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of an invoice."""

    description: LineDescription
    category: Category | None = None
    amount: SignedAmount
    """Negative if it is a discount."""


Lines = Annotated[list[LineIn], Meta(min_length=1, max_length=LINES_MOST)]


class InvoiceIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new invoice for a student."""

    student_id: UUID
    payer_id: UUID | None = None
    """Without it, the student's payer owes the invoice if there is only one, else the student himself does."""
    total_amount: Amount | None = None
    """Either this or `lines` is required."""
    lines: Lines | None = None
    """What the invoice is made of, in place of total_amount. They sum to more than zero."""
    due_date: DueDate
    description: Description | None = None
    issued_at: Moment | None = None
    """Now by default. A day means its beginning."""

    @property
    def total(self) -> Decimal:
        """The total_amount, or the sum of the lines. InvalidBody if not exactly one of them is given."""
        return require_total("total_amount", self.total_amount, self.lines)


def require_total(field: str, given: Decimal | None, lines: Sequence[LineIn] | None) -> Decimal:
    """Return what is given in `field`, or the sum of the lines. InvalidBody if it is not exactly one of them."""
    total = total_of(field, given, lines)
    if total is None:
        raise InvalidBody(errors=[FieldError(field, "is required, or else lines")])
    return total


def total_of(field: str, given: Decimal | None, lines: Sequence[LineIn] | None) -> Decimal | None:
    """Return what is given in `field`, or the sum of the lines. InvalidBody if both are, or if the sum is no amount."""
    if lines is None:
        return given
    if given is not None:
        raise InvalidBody(errors=[FieldError("lines", f"must be left out if {field} is given")])
    total = sum((line.amount for line in lines), Decimal("0.00"))
    if not 0 < total <= TOTAL_MOST:
        rule = f"must sum to more than zero and at most {TOTAL_MOST}, not to {total:.2f}"
        raise InvalidBody(errors=[FieldError("lines", rule)])
    return total


class InvoiceVoid(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The reason for voiding an invoice."""

    reason: VoidReason


class InvoicePatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of an invoice. A field that is absent stays as it is; null clears it."""

    student_id: UUID | UnsetType = UNSET
    """Another student of the same school. Only an invoice without payments and adjustments can change its student."""
    total_amount: Amount | UnsetType = UNSET
    """At least what is paid, credited, discounted and written off. Of an invoice with lines, it is their sum."""
    lines: Lines | UnsetType = UNSET
    """All lines in place of those that are there, until something is paid or credited or there is a number."""
    due_date: DueDate | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    issued_at: Moment | UnsetType = UNSET
    """A day means its beginning."""
