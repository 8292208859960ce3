"""The bodies of /payments."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from school_billing.money import Amount, Money
from school_billing.platform.web.types import Instant, Name, ShortText
from school_billing.schools.contracts import Currency

Method = Annotated[ShortText, Meta(description="How the money was paid.", examples=["bank_transfer"])]
Reference = Annotated[Name, Meta(description="The reference of the payer or the bank.", examples=["DEMO-PAID-1"])]


class PaymentKind(StrEnum):
    """Whether money came in or went back."""

    PAYMENT = "PAYMENT"
    """Money paid to the school."""
    REFUND = "REFUND"
    """Money paid back by the school. The amount is positive, too."""


class Payment(Struct, frozen=True):
    """A payment on an invoice, or a refund of one."""

    id: UUID
    school_id: UUID
    invoice_id: UUID
    kind: PaymentKind
    amount: Money
    currency: Currency
    """The currency of the school."""
    method: Method | None
    reference: Reference | None
    paid_at: Instant
    """When the money was paid or refunded."""
    created_at: Instant
    """When it was recorded."""
    updated_at: Instant


class PaymentIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new payment or refund on an invoice."""

    invoice_id: UUID
    amount: Amount
    kind: PaymentKind = PaymentKind.PAYMENT
    """PAYMENT by default."""
    method: Method | None = None
    reference: Reference | None = None
    paid_at: Instant | None = None
    """Now by default. It cannot be in the future."""


class PaymentPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of a payment or refund. A field that is absent stays as it is; null clears it."""

    invoice_id: UUID | UnsetType = UNSET
    """Moves the payment to another invoice of the same school."""
    amount: Amount | UnsetType = UNSET
    kind: PaymentKind | UnsetType = UNSET
    method: Method | UnsetType | None = UNSET
    reference: Reference | UnsetType | None = UNSET
    paid_at: Instant | UnsetType = UNSET
