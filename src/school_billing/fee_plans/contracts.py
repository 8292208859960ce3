"""The bodies of /fee-plans."""

from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from school_billing.money import Amount, Money
from school_billing.payers.contracts import WHOLE, Share
from school_billing.platform.web.errors import FieldError, InvalidBody
from school_billing.platform.web.types import Instant, Text

ITEMS_MOST = 50
RULES_MOST = 30
RANK_MOST = 20


class LineDescription(Text, examples=["Tuition"]):
    """What a line of an invoice is for."""


class Category(Text, most=50, examples=["tuition"]):
    """The school's own kind of charge, such as tuition, meals or discount."""


class PlanName(Text, examples=["Primary school"]):
    """The name of a fee plan. Its invoices have it in their description."""


class Percent(Share):
    """A part of what is billed, in percent: 0.0001 to 100.0000."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a percentage, which always has four decimals. ValueError if it breaks a rule."""
        return cls(super().parse(value).quantize(WHOLE))


Categories = Annotated[
    list[Category],
    Meta(
        min_length=1,
        max_length=ITEMS_MOST,
        description="The categories of items from which it is taken. Null means all items.",
    ),
]


class RuleKind(StrEnum):
    """What a discount rule of a plan does."""

    SIBLING = "sibling"
    """A percentage or an amount, from the sibling of `from_rank` on. Of several with the same categories, the one with
    the highest rank that the student reaches counts."""
    PERCENTAGE = "percentage"
    """A percentage for every student."""
    FIXED = "fixed"
    """An amount for every student."""


class FeeItem(Struct, frozen=True):
    """An item of a plan."""

    category: Category
    description: LineDescription
    amount: Money


class FeeRule(Struct, frozen=True):
    """A discount rule of a plan."""

    kind: RuleKind
    description: LineDescription
    categories: list[Category] | None
    """The categories of items from which the discount is taken; null means all items."""
    percent: Percent | None
    amount: Money | None
    from_rank: int | None
    """The rank of the first sibling who has the discount. The eldest has 1."""


class FeePlan(Struct, frozen=True):
    """What a term costs each student."""

    id: UUID
    school_id: UUID
    name: PlanName
    version: int
    """It grows with each change of items or rules. A billing run keeps the version that it used."""
    items: list[FeeItem]
    rules: list[FeeRule]
    """In the order in which they are applied."""
    created_at: Instant
    updated_at: Instant


class FeeItemIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An item of a plan."""

    category: Category
    description: LineDescription
    amount: Amount


class FeeRuleIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A discount rule of a plan. It has either a percent or an amount."""

    kind: RuleKind
    description: LineDescription | None = None
    """What the line of the invoice says; "Sibling discount" or "Discount" by default."""
    categories: Categories | None = None
    percent: Percent | None = None
    """Of the sum of the items in its categories. Other discounts do not change that sum."""
    amount: Amount | None = None
    from_rank: Annotated[int, Meta(ge=1, le=RANK_MOST)] | None = None
    """Only of a sibling rule: the rank of the first sibling who has the discount. 2 by default."""


Items = Annotated[list[FeeItemIn], Meta(min_length=1, max_length=ITEMS_MOST)]
Rules = Annotated[list[FeeRuleIn], Meta(max_length=RULES_MOST, description="Applied in this order.")]


class FeePlanIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new fee plan."""

    school_id: UUID
    name: PlanName
    items: Items
    rules: Rules = []


class FeePlanPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of a plan. A field that is absent stays as it is. New items or rules make a new version."""

    name: PlanName | UnsetType = UNSET
    items: Items | UnsetType = UNSET
    rules: Rules | UnsetType = UNSET


class PlanLine(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An item or a rule, as the database reads it."""

    kind: str
    description: str
    category: str | None = None
    categories: list[Category] | None = None
    percent: Percent | None = None
    amount: Amount | None = None
    from_rank: int | None = None


def plan_lines(items: list[FeeItemIn], rules: list[FeeRuleIn]) -> list[PlanLine]:
    """Return the lines of a plan. InvalidBody if a rule has not what its kind needs."""
    errors: list[FieldError] = []
    for place, rule in enumerate(rules):
        for name, needs in _needs(rule).items():
            if needs != (getattr(rule, name) is not None):
                message = "is required" if needs else f"must be left out of a {rule.kind} rule"
                errors.append(FieldError(f"rules[{place}].{name}", message))
    if errors:
        raise InvalidBody(errors=errors)
    return [
        *(
            PlanLine(kind="item", description=one.description, category=one.category, amount=one.amount)
            for one in items
        ),
        *(
            PlanLine(
                kind=one.kind.value,
                description=one.description or ("Sibling discount" if one.kind is RuleKind.SIBLING else "Discount"),
                categories=one.categories,
                percent=one.percent,
                amount=one.amount,
                from_rank=(one.from_rank or 2) if one.kind is RuleKind.SIBLING else None,
            )
            for one in rules
        ),
    ]


def _needs(rule: FeeRuleIn) -> dict[str, bool]:
    """Return which fields a rule must have, and which not."""
    match rule.kind:
        case RuleKind.PERCENTAGE:
            return {"percent": True, "amount": False, "from_rank": False}
        case RuleKind.FIXED:
            return {"percent": False, "amount": True, "from_rank": False}
        case RuleKind.SIBLING:
            return {"percent": rule.amount is None, "amount": rule.percent is None}
