"""The errors of billing runs, and which constraint of the schema means which error."""

from functools import partial

from school_billing.fee_plans.errors import FeePlanNotFound
from school_billing.platform.web.errors import (
    Conflict,
    ConstraintErrors,
    DuplicateId,
    ErrorFactory,
    InUse,
    NotFound,
    PreconditionFailed,
    breaks_rule,
    not_plain,
)
from school_billing.students.errors import StudentNotFound


class BillingRunNotFound(NotFound):
    """There is no such billing run. Check the id, and that you may see its school."""

    code = "billing_run_not_found"


class AlreadyBilled(Conflict):
    """The student has an invoice of this plan, period and instalment that is not void. Void it first."""

    code = "already_billed"


class BillingRunCommitted(Conflict):
    """The billing run is committed. Revert it with POST /billing-runs/{id}/revert."""

    code = "billing_run_committed"


class BillingRunNotCommitted(Conflict):
    """The billing run billed nothing, so there is nothing to revert. Abandon it."""

    code = "billing_run_not_committed"


class BillingRunAbandoned(Conflict):
    """The billing run is abandoned. Make a new preview."""

    code = "billing_run_abandoned"


class StudentsChanged(PreconditionFailed):
    """The plan, the awards, the payers, the payments or the enrolment changed since the preview. Make a new preview."""

    code = "students_changed"


class FeePlanUsed(InUse):
    """A billing run used the fee plan, so it cannot be deleted."""


class StudentHasBillingRuns(InUse):
    """The student is part of a billing run and cannot be deleted. Abandon the run first, or set left_on."""


def due_before_issue(field: str) -> ErrorFactory:
    """Return a factory of the error that a due date is before the day of issue."""
    return breaks_rule(field, "must not be before the day of issue")


CONSTRAINT_ERRORS: ConstraintErrors = {
    "billing_runs_pkey": DuplicateId,
    "billing_runs_period_key": DuplicateId,
    "billing_runs_fee_plan_id_fkey": FeePlanNotFound,
    ("billing_runs_fee_plan_id_fkey", "fee_plans/delete"): FeePlanUsed,
    "billing_runs_period_plain": not_plain("period", 50),
    "billing_runs_kind_known": breaks_rule("kind", "must be known"),
    "billing_runs_due_dates_in_range": breaks_rule("due_dates", "must be 1 to 36 days"),
    "billing_runs_due_dates_in_calendar": breaks_rule("due_dates", "must be between 1900-01-01 and 2999-12-31"),
    "billing_runs_due_dates_ascending": breaks_rule("due_dates", "must be in order"),
    "billing_runs_due_after_issue": due_before_issue("due_dates[0]"),
    "billing_runs_issued_at_in_calendar": breaks_rule("issued_at", "must be between 1900-01-01 and 2999-12-31"),
    "billing_runs_one_end": BillingRunAbandoned,
    "billing_runs_reverted_after_commit": BillingRunNotCommitted,
    "billing_runs_reverted_has_reason": breaks_rule("reason", "must be given"),
    "billing_runs_revert_reason_plain": not_plain("reason", 500),
    "billing_runs_are_fixed": BillingRunCommitted,
    "billing_run_rows_pkey": DuplicateId,
    "billing_run_rows_student_id_key": DuplicateId,
    "billing_run_rows_billing_run_id_fkey": BillingRunNotFound,
    "billing_run_rows_student_id_fkey": StudentNotFound,
    ("billing_run_rows_student_id_fkey", "students/delete"): StudentHasBillingRuns,
    "billing_run_rows_verdict_known": breaks_rule("verdict", "must be known"),
    "billing_run_rows_total_is_what_is_left": breaks_rule("total_amount", "must be what the discounts leave"),
    "invoices_billing_run_id_fkey": BillingRunNotFound,
    "invoices_of_runs_are_whole": BillingRunNotFound,
    "invoices_of_runs_come_with_the_commit": BillingRunCommitted,
    "invoices_run_is_fixed": BillingRunCommitted,
    "invoices_billed_once_key": AlreadyBilled,
    "invoices_late_fees_are_whole": BillingRunNotFound,
    "invoices_late_fee_key": partial(AlreadyBilled, "The invoice has this late fee. Void the fee first."),
}
