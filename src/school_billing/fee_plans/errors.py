"""The errors of fee plans, and which constraint of the schema means which error."""

from school_billing.fee_plans.contracts import DAYS_MOST, RANK_MOST, TIMES_MOST
from school_billing.platform.web.errors import (
    Conflict,
    ConstraintErrors,
    DuplicateId,
    InUse,
    NotFound,
    breaks_rule,
    not_plain,
)
from school_billing.schools.errors import SchoolNotFound, refuse_cents


class FeePlanNotFound(NotFound):
    """There is no such fee plan. Check the id, and that you may see its school."""

    code = "fee_plan_not_found"


class FeePlanChanged(Conflict):
    """The fee plan was changed at the same time. Fetch it again and retry."""

    code = "fee_plan_changed"


class SchoolHasFeePlans(InUse):
    """The school has fee plans and cannot be deleted. Delete the fee plans first."""


_PERCENT = "must be a percentage above zero, at most 100"

CONSTRAINT_ERRORS: ConstraintErrors = {
    "fee_plans_pkey": DuplicateId,
    "fee_plans_school_id_fkey": SchoolNotFound,
    ("fee_plans_school_id_fkey", "schools/delete"): SchoolHasFeePlans,
    "fee_plans_name_plain": not_plain("name", 255),
    "fee_plans_version_positive": FeePlanChanged,
    ("amounts_fit_the_currency", "fee_plans/create"): refuse_cents("items"),
    ("amounts_fit_the_currency", "fee_plans/update"): refuse_cents("items"),
    "fee_plan_items_pkey": DuplicateId,
    "fee_plan_items_position_key": FeePlanChanged,
    "fee_plan_items_fee_plan_id_fkey": FeePlanNotFound,
    ("fee_plan_items_fee_plan_id_fkey", "fee_plans/delete"): FeePlanChanged,
    "fee_plan_items_are_fixed": FeePlanChanged,
    "fee_plan_items_position_in_range": breaks_rule("items", "must be at most 50, with at most 30 rules"),
    "fee_plan_items_kind_known": breaks_rule("rules", "must have known kinds"),
    "fee_plan_items_fields_of_kind": breaks_rule("rules", "must have the fields of their kinds"),
    "fee_plan_items_description_plain": breaks_rule("items", "must have plain descriptions of 1 to 255 characters"),
    "fee_plan_items_category_plain": breaks_rule("items", "must have plain categories of 1 to 50 characters"),
    "fee_plan_items_percent_in_range": breaks_rule("percent", _PERCENT),
    "fee_plan_items_amount_positive": breaks_rule("amount", "must be above zero"),
    "fee_plan_items_from_rank_in_range": breaks_rule("from_rank", f"must be 1 to {RANK_MOST}"),
    "fee_plan_items_after_days_in_range": breaks_rule("after_days", f"must be 1 to {DAYS_MOST}"),
    "fee_plan_items_minimum_positive": breaks_rule("minimum", "must be above zero"),
    "fee_plan_items_maximum_times_in_range": breaks_rule("maximum_times", f"must be 1 to {TIMES_MOST}"),
    "fee_plan_items_days_before_due_in_range": breaks_rule("days_before_due", f"must be 0 to {DAYS_MOST}"),
    "fee_plan_items_late_fee_key": FeePlanChanged,
    "fee_plan_items_early_discount_key": FeePlanChanged,
}
