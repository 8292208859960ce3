"""The bodies of /fee-plans."""

from collections.abc import Iterator
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
DAYS_MOST = 365
TIMES_MOST = 36


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
    """What a rule of a plan does."""

    SIBLING = "sibling"
    """A percentage or an amount, from the sibling of `from_rank` on. Of several with the same categories, the one with
    the highest rank that the student reaches counts."""
    PERCENTAGE = "percentage"
    """A percentage for every student."""
    FIXED = "fixed"
    """An amount for every student."""
    LATE_FEE = "late_fee"
    """A fee on an invoice that is overdue, charged by a late-fee run."""
    EARLY_DISCOUNT = "early_discount"
    """A discount on an invoice that is paid early, granted by the payment that completes it."""


class FeeItem(Struct, frozen=True):
    """An item of a plan."""

    category: Category
    description: LineDescription
    amount: Money


class FeeRule(Struct, frozen=True):
    """A rule of a plan."""

    kind: RuleKind
    description: LineDescription
    categories: list[Category] | None
    """The categories of items from which the discount is taken; null means all items."""
    percent: Percent | None
    amount: Money | None
    from_rank: int | None
    """The rank of the first sibling who has the discount. The eldest has 1."""
    after_days: int | None
    """Of a late fee: the days overdue after which it is charged, and after which it is charged again."""
    minimum: Money | None
    """The least that a late fee in percent is."""
    maximum_times: int | None
    """How often a late fee is charged on one invoice."""
    days_before_due: int | None
    """Of an early discount: the invoice must be paid at least that many days before it is due."""


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
    """A rule of a plan. It has either a percent or an amount.

    Late fees differ in their after_days, and a plan has at most one early discount.
    """

    kind: RuleKind
    description: LineDescription | None = None
    """What the line of the invoice says; by default "Discount", "Sibling discount", "Late fee" or "Early-payment
    discount"."""
    categories: Categories | None = None
    percent: Percent | None = None
    """Of the sum of the items in its categories: other discounts do not change that sum. A late fee is taken of what is
    overdue, and an early discount of the invoice."""
    amount: Amount | None = None
    from_rank: Annotated[int, Meta(ge=1, le=RANK_MOST)] | None = None
    """Only of a sibling rule: the rank of the first sibling who has the discount. 2 by default."""
    after_days: Annotated[int, Meta(ge=1, le=DAYS_MOST)] | None = None
    """Only of a late fee: the days overdue after which it is charged, and after which it is charged again."""
    minimum: Amount | None = None
    """Only of a late fee in percent: the least that it is."""
    maximum_times: Annotated[int, Meta(ge=1, le=TIMES_MOST)] | None = None
    """Only of a late fee: how often it is charged on one invoice. Once by default."""
    days_before_due: Annotated[int, Meta(ge=0, le=DAYS_MOST)] | None = None
    """Only of an early discount: the invoice must be paid at least that many days before it is due."""


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
    after_days: int | None = None
    minimum: Amount | None = None
    maximum_times: int | None = None
    days_before_due: int | None = None


_FIELDS = {
    RuleKind.SIBLING: {"categories", "from_rank"},
    RuleKind.PERCENTAGE: {"categories"},
    RuleKind.FIXED: {"categories"},
    RuleKind.LATE_FEE: {"after_days", "minimum", "maximum_times"},
    RuleKind.EARLY_DISCOUNT: {"days_before_due"},
}
"""What a rule of each kind may have, beside its percent or amount."""
_DESCRIPTIONS = {
    RuleKind.SIBLING: "Sibling discount",
    RuleKind.LATE_FEE: "Late fee",
    RuleKind.EARLY_DISCOUNT: "Early-payment discount",
}


def plan_lines(items: list[FeeItemIn], rules: list[FeeRuleIn]) -> list[PlanLine]:
    """Return the lines of a plan. InvalidBody if a rule does not have what its kind needs, or is there twice."""
    errors = [error for place, rule in enumerate(rules) for error in _wrong_fields(f"rules[{place}]", rule)]
    terms = [(rule.kind, rule.after_days) for rule in rules]
    for place in (place for place, term in enumerate(terms) if term in terms[:place]):
        if rules[place].kind is RuleKind.EARLY_DISCOUNT:
            errors.append(FieldError(f"rules[{place}].kind", "must be the only early discount"))
        if rules[place].kind is RuleKind.LATE_FEE:
            errors.append(FieldError(f"rules[{place}].after_days", "must differ from those of the other late fees"))
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
                description=one.description or _DESCRIPTIONS.get(one.kind, "Discount"),
                categories=one.categories,
                percent=one.percent,
                amount=one.amount,
                from_rank=(one.from_rank or 2) if one.kind is RuleKind.SIBLING else None,
                after_days=one.after_days,
                minimum=one.minimum,
                maximum_times=(one.maximum_times or 1) if one.kind is RuleKind.LATE_FEE else None,
                days_before_due=one.days_before_due,
            )
            for one in rules
        ),
    ]


def _wrong_fields(place: str, rule: FeeRuleIn) -> Iterator[FieldError]:
    """Yield what is wrong with the fields of a rule of its kind."""
    required = {"after_days", "days_before_due"} & _FIELDS[rule.kind]
    allowed = {"kind", "description"} | _FIELDS[rule.kind]
    match rule.kind:
        case RuleKind.PERCENTAGE:
            required.add("percent")
        case RuleKind.FIXED:
            required.add("amount")
        case _ if rule.amount is None:
            required.add("percent")
        case RuleKind.LATE_FEE:
            allowed.remove("minimum")
            allowed.add("amount")
        case _:
            allowed.add("amount")
    for name in rule.__struct_fields__:
        given = getattr(rule, name) is not None
        if name in required and not given:
            yield FieldError(f"{place}.{name}", "is required")
        if name not in required | allowed and given:
            yield FieldError(f"{place}.{name}", f"must be left out of this {rule.kind} rule")
