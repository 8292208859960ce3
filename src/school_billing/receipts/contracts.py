"""The bodies of /receipts."""

from datetime import date
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from school_billing.invoices.contracts import Description
from school_billing.money import Amount, Money
from school_billing.payers.contracts import PayerName
from school_billing.payments.contracts import Method, Reason, Reference
from school_billing.platform.web.errors import FieldError, InvalidBody, require_each_once
from school_billing.platform.web.types import Instant, Text
from school_billing.schools.contracts import Currency, DocumentNumber
from school_billing.schools.days import Moment
from school_billing.students.contracts import FullName

INVOICES_MOST = 1_000
"""The most invoices of a list in `allocate`."""


class Source(Text, most=50, examples=["bank"]):
    """The system that knows the money by `external_reference`, such as a bank or a payment provider."""


class ExternalReference(Text, examples=["2026-02-03/0042"]):
    """The number that the source gave to the money. A school books each source and number once."""


class Rule(StrEnum):
    """What a receipt pays."""

    OLDEST_DUE_FIRST = "oldest_due_first"
    """The payer's open invoices, in the order of due date, date of issue and id."""
    NONE = "none"
    """Nothing yet."""


class AllocationIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one invoice gets."""

    invoice_id: UUID
    amount: Amount


Allocate = Annotated[
    Rule | Annotated[list[AllocationIn], Meta(max_length=INVOICES_MOST)],
    Meta(description="A rule, or the invoices with their amounts. They may belong to any payer of the school."),
]


class Allocation(Struct, frozen=True):
    """A payment that a receipt makes on an invoice."""

    payment_id: UUID
    invoice_id: UUID
    student_id: UUID
    full_name: FullName
    description: Description | None
    """What the invoice is for."""
    amount: Money
    allocated_at: Instant
    """From this moment on, it pays the invoice."""
    reversed_at: Instant | None
    """From this moment on, it does not pay the invoice any more."""


class ReceiptRefund(Struct, frozen=True):
    """Money of a receipt that was given back."""

    id: UUID
    amount: Money
    method: Method | None
    reference: Reference | None
    reason: Reason | None
    refunded_at: Instant


class ListedReceipt(Struct, frozen=True):
    """A sum of money that arrived."""

    id: UUID
    school_id: UUID
    payer_id: UUID | None
    """Null while nobody knows whose money it is."""
    payer_name: PayerName | None
    """The payer's name when the money was booked. It stays if the payer changes the name."""
    number: DocumentNumber | None
    """Null if the school had no invoice_prefix when the receipt was recorded. It never changes."""
    amount: Money
    currency: Currency
    """The currency of the school."""
    method: Method | None
    reference: Reference | None
    source: Source | None
    external_reference: ExternalReference | None
    received_at: Instant
    """When the money arrived."""
    reversed_at: Instant | None
    """When it went, as with a bounced cheque. From then on it pays nothing."""
    reverse_reason: Reason | None
    allocated_total: Money
    """What pays invoices."""
    refunded_total: Money
    """What was given back."""
    unallocated: Money
    """What is left; 0.00 if the receipt is reversed."""
    created_at: Instant
    updated_at: Instant


class Receipt(ListedReceipt, frozen=True):
    """A sum of money that arrived, with what it pays and what was given back of it."""

    allocations: list[Allocation]
    """Oldest first, with those that were taken back."""
    refunds: list[ReceiptRefund]
    """Oldest first."""

    @property
    def names_of_others(self) -> list[str]:
        """The names that change without the receipt."""
        return [text for one in self.allocations for text in (one.full_name, one.description or "")]


class AllocateIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the unallocated money of a receipt pays."""

    allocate: Allocate = Rule.OLDEST_DUE_FIRST

    @property
    def rule(self) -> str:
        """The name of the rule, or "list"."""
        return "list" if isinstance(self.allocate, list) else self.allocate.value

    @property
    def listed(self) -> list[AllocationIn]:
        """The invoices and their amounts, if they are given."""
        return self.allocate if isinstance(self.allocate, list) else []

    def require_sense(self) -> None:
        """Raise InvalidBody if an invoice is in the list twice."""
        require_each_once("allocate[{}].invoice_id", (one.invoice_id for one in self.listed))


class ReceiptIn(AllocateIn, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sum of money that arrived."""

    payer_id: UUID | None = None
    """Null if nobody knows yet whose money it is."""
    school_id: UUID | None = None
    """The school, only of money without a payer."""
    amount: Amount
    method: Method | None = None
    reference: Reference | None = None
    source: Source | None = None
    external_reference: ExternalReference | None = None
    received_at: Moment | None = None
    """Now by default. A day means its beginning. It cannot be in the future."""

    def require_sense(self) -> None:
        """Raise InvalidBody if fields contradict each other."""
        super().require_sense()
        if (self.payer_id is None) == (self.school_id is None):
            rule = "must be given without a payer_id" if self.payer_id is None else "must be left out with a payer_id"
            raise InvalidBody(errors=[FieldError("school_id", rule)])
        allocated = sum(one.amount for one in self.listed)
        if allocated > self.amount:
            rule = f"must sum to at most {self.amount:.2f}, the amount, not to {allocated:.2f}"
            raise InvalidBody(errors=[FieldError("allocate", rule)])


class ReceiptPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The payer of money that had none."""

    payer_id: UUID


class ReceiptRefundIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Unallocated money that was given back."""

    amount: Amount
    method: Method | None = None
    reference: Reference | None = None
    reason: Reason | None = None
    refunded_at: Moment | None = None
    """Now by default. A day means its beginning. Not before the last movement of the receipt."""


class ReceiptReversal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why and when the whole money went, as with a bounced cheque."""

    reason: Reason
    reversed_at: Moment | None = None
    """Now by default. A day means its beginning. Not before the last movement of the receipt."""


class PaymentReversal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why an allocation is taken back."""

    reason: Reason


class ReceiptFilters(Struct, frozen=True):
    """The receipts that a list shows. A filter that is None does not apply."""

    number: str | None = None
    method: str | None = None
    reference: str | None = None
    source: str | None = None
    external_reference: str | None = None
    received_from: date | None = None
    received_to: date | None = None
    unallocated: bool | None = None
    unidentified: bool | None = None
