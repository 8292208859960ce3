"""The bodies of /closings."""

from datetime import date
from uuid import UUID

from msgspec import Struct

from school_billing.billing_runs.contracts import Period
from school_billing.money import Money
from school_billing.payers.contracts import PayerName
from school_billing.platform.web.types import Instant, Text
from school_billing.schools.contracts import Currency
from school_billing.schools.days import Day
from school_billing.statements.contracts import RollForwardFigures


class ClosingReason(Text, most=500, lines=True, examples=["The bank statement agrees"]):
    """Why a period is closed or reopened."""


class ClosingIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last day of a period that nobody shall change any more."""

    through: Day
    """A day of the school's time zone that is over, after that of the last closing."""
    reason: ClosingReason | None = None


class ClosingReopening(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a period is reopened."""

    reason: ClosingReason


class OpenReceipt(Struct, frozen=True):
    """A receipt of a closed period with money that pays no invoice yet."""

    id: UUID
    payer_id: UUID | None
    """Null while nobody knows whose money it is."""
    payer_name: PayerName | None
    amount: Money
    unallocated: Money
    """What pays nothing now."""
    received_at: Instant


class OpenBillingRun(Struct, frozen=True):
    """A preview of a billing run that would bill in a closed period."""

    id: UUID
    plan_id: UUID
    period: Period
    issued_at: Instant
    total_amount: Money
    invoices_count: int


class ListedClosing(Struct, frozen=True):
    """A closed period, with its figures as they were stored."""

    id: UUID
    school_id: UUID
    currency: Currency
    """The currency of the school."""
    starts_on: date | None
    """The day after the closing before it; null if the period begins with the first entry."""
    through: date
    """The last day that is closed."""
    reason: ClosingReason | None
    figures: RollForwardFigures
    """The roll-forward of the period. It stays, and comes out again whenever it is computed again."""
    audit_position: int | None
    """The position of the last sealed entry of the school's audit trail; null if none was sealed."""
    audit_hash: str | None
    """The hash of that entry. With it, a trail that was rewritten can be told."""
    reopened_at: Instant | None
    """From this moment on, the period is open."""
    reopen_reason: ClosingReason | None
    created_at: Instant
    updated_at: Instant


class Closing(ListedClosing, frozen=True):
    """A closed period, with its figures and what is still open in it."""

    open_receipts: list[OpenReceipt]
    """At most the 100 oldest; `GET /receipts?unallocated=true` lists all."""
    open_billing_runs: list[OpenBillingRun]
    """Previews that cannot be committed any more. At most the 100 newest. Abandon them, and preview on an open day."""
