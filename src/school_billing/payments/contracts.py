"""The bodies of /payments."""

import re
from datetime import date
from enum import StrEnum
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from school_billing.money import Amount, Money
from school_billing.platform.web.types import Instant, Text
from school_billing.schools.contracts import Currency
from school_billing.schools.days import Moment

# What separates the words of a method: blanks, underscores, hyphens, dashes, dots and slashes.
_BETWEEN_WORDS = re.compile("[\\s_./\u2010-\u2015-]+")


class Method(Text, most=50, examples=["bank_transfer"]):
    """How the money was paid, in lower case and with _ between words: "Bank Transfer" becomes bank_transfer.

    Usual methods are cash, card, bank_transfer, direct_debit, cheque and mobile_money. Printed statements translate
    these, and print others in their own words.
    """

    @classmethod
    def tidy(cls, text: str) -> str:
        """Return the method in lower case, with _ between words."""
        return super().tidy(_BETWEEN_WORDS.sub("_", super().tidy(text).lower()).strip("_"))


class Reference(Text, examples=["DEMO-PAID-1"]):
    """The reference of the payer or the bank."""


class Reason(Text, most=500, lines=True, examples=["Meant for the older sister"]):
    """Why money was taken back or given back."""


class PaymentKind(StrEnum):
    """Whether money came in or went back."""

    PAYMENT = "PAYMENT"
    """Money paid to the school."""
    REFUND = "REFUND"
    """Money paid back by the school. The amount is positive, too."""


class PaymentFilters(Struct, frozen=True):
    """The payments and refunds that a list shows. A filter that is None does not apply."""

    receipt_id: UUID | None
    kind: PaymentKind | None
    method: str | None
    reference: str | None
    paid_from: date | None
    paid_to: date | None


class Payment(Struct, frozen=True):
    """A payment on an invoice, or a refund of one."""

    id: UUID
    school_id: UUID
    invoice_id: UUID
    receipt_id: UUID | None
    """The receipt whose money this is; null if it is money in its own right."""
    reverses_id: UUID | None
    """The payment that this refund takes back to its receipt."""
    kind: PaymentKind
    amount: Money
    currency: Currency
    """The currency of the school."""
    method: Method | None
    reference: Reference | None
    reason: Reason | None
    """Why the payment was taken back to its receipt."""
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
    paid_at: Moment | None = None
    """Now by default. A day means its beginning. It cannot be in the future."""


class PaymentPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of a payment or refund. A field that is absent stays as it is; null clears it.

    Its kind cannot change: delete it and record it again.
    """

    invoice_id: UUID | UnsetType = UNSET
    """Moves the payment to another invoice of the same school."""
    amount: Amount | UnsetType = UNSET
    method: Method | UnsetType | None = UNSET
    reference: Reference | UnsetType | None = UNSET
    paid_at: Moment | UnsetType = UNSET
    """A day means its beginning."""
