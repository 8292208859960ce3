"""What goes in and out of /payments."""

from datetime import datetime
from enum import Enum
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from school_billing.money import Amount, Money
from school_billing.platform.web.types import Instant, Name, ShortText
from school_billing.schools.contracts import Currency

Method = Annotated[ShortText, Meta(description="How the money moved.", examples=["bank_transfer"])]
Reference = Annotated[Name, Meta(description="What the payer or the bank calls it.", examples=["DEMO-PAID-1"])]


class PaymentKind(Enum):
    """Which way the money moved."""

    PAYMENT = "PAYMENT"
    """To the school."""
    REFUND = "REFUND"
    """Back from the school; the amount is positive all the same."""


class Payment(Struct, frozen=True):
    """A movement of money on an invoice."""

    id: UUID
    school_id: UUID
    invoice_id: UUID
    kind: PaymentKind
    amount: Money
    currency: Currency
    """The school's."""
    method: Method | None
    reference: Reference | None
    paid_at: datetime
    """When the money moved."""
    created_at: datetime
    """When it was recorded."""
    updated_at: datetime


class PaymentIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A movement to be recorded on an invoice."""

    invoice_id: UUID
    amount: Amount
    kind: PaymentKind = PaymentKind.PAYMENT
    method: Method | None = None
    reference: Reference | None = None
    paid_at: Instant | None = None
    """Now, if it is not given; not in the future."""


class PaymentPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What should change of a movement; a field that is absent stays as it is, and null clears it."""

    invoice_id: UUID | UnsetType = UNSET
    """Another invoice of the same school, to which the movement goes."""
    amount: Amount | UnsetType = UNSET
    kind: PaymentKind | UnsetType = UNSET
    method: Method | UnsetType | None = UNSET
    reference: Reference | UnsetType | None = UNSET
    paid_at: Instant | UnsetType = UNSET
