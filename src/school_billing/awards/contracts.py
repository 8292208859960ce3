"""The bodies of /awards."""

from datetime import date
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from school_billing.fee_plans.contracts import Categories, Category, LineDescription, Percent
from school_billing.money import Amount, Money
from school_billing.platform.web.errors import FieldError, InvalidBody
from school_billing.platform.web.types import Instant, Text


class AwardReason(Text, most=500, lines=True, examples=["Second in the regional music contest"]):
    """Why the student has the award. No invoice shows it."""


class Approver(Text, most=100, examples=["Bursary committee, 2026-05-12"]):
    """Who approved the award."""


ValidFrom = Annotated[date, Meta(description="The first day. A billing run counts the award by its day of issue.")]
ValidTo = Annotated[date, Meta(description="The last day; null means without an end.")]


class Award(Struct, frozen=True):
    """A scholarship or a concession of a student."""

    id: UUID
    school_id: UUID
    student_id: UUID
    description: LineDescription
    """What the line of the invoice says."""
    categories: list[Category] | None
    """The categories of items from which it is taken; null means all items."""
    percent: Percent | None
    amount: Money | None
    """For each billing run, if there is no percent."""
    valid_from: ValidFrom
    valid_to: ValidTo | None
    reason: AwardReason
    approved_by: Approver
    created_at: Instant
    updated_at: Instant


class AwardIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new award. It has either a percent or an amount."""

    student_id: UUID
    description: LineDescription | None = None
    """What the line of the invoice says; "Award" by default."""
    categories: Categories | None = None
    percent: Percent | None = None
    """Of the sum of the items in its categories. Other discounts do not change that sum."""
    amount: Amount | None = None
    """For each billing run."""
    valid_from: ValidFrom
    valid_to: ValidTo | None = None
    reason: AwardReason
    approved_by: Approver

    def require_sense(self) -> None:
        """Raise InvalidBody if there is not exactly one of percent and amount."""
        if (self.percent is None) == (self.amount is None):
            rule = "is required, or else amount" if self.percent is None else "must be left out with an amount"
            raise InvalidBody(errors=[FieldError("percent", rule)])


class AwardPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of an award. A field that is absent stays as it is. A percent replaces an amount, and the reverse."""

    description: LineDescription | UnsetType = UNSET
    categories: Categories | UnsetType | None = UNSET
    percent: Percent | UnsetType = UNSET
    amount: Amount | UnsetType = UNSET
    valid_from: ValidFrom | UnsetType = UNSET
    valid_to: ValidTo | UnsetType | None = UNSET
    reason: AwardReason | UnsetType = UNSET
    approved_by: Approver | UnsetType = UNSET

    def require_sense(self) -> None:
        """Raise InvalidBody if there are both a percent and an amount."""
        if self.percent is not UNSET and self.amount is not UNSET:
            raise InvalidBody(errors=[FieldError("percent", "must be left out with an amount")])
