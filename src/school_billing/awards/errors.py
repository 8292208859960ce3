"""The errors of awards, and which constraint of the schema means which error."""

from functools import partial

from school_billing.platform.web.errors import ConstraintErrors, DuplicateId, InUse, NotFound, breaks_rule, not_plain
from school_billing.schools.errors import refuse_cents
from school_billing.students.errors import StudentNotFound


class AwardNotFound(NotFound):
    """There is no such award. Check the id, and that you may see its school."""

    code = "award_not_found"


class StudentHasAwards(InUse):
    """The student has awards and cannot be deleted. Delete the awards first."""


_CALENDAR = "must be between 1900-01-01 and 2999-12-31"

CONSTRAINT_ERRORS: ConstraintErrors = {
    ("amounts_fit_the_currency", "awards/create"): refuse_cents("amount"),
    ("amounts_fit_the_currency", "awards/update"): refuse_cents("amount"),
    "awards_pkey": DuplicateId,
    "awards_student_id_fkey": partial(StudentNotFound, "There is no such student in the award's school."),
    ("awards_student_id_fkey", "students/delete"): StudentHasAwards,
    "awards_student_is_fixed": breaks_rule("student_id", "cannot change: delete the award and add another one"),
    "awards_description_plain": not_plain("description", 255),
    "awards_percent_or_amount": breaks_rule("percent", "is required, or else amount"),
    "awards_percent_in_range": breaks_rule("percent", "must be a percentage above zero, at most 100"),
    "awards_amount_positive": breaks_rule("amount", "must be above zero"),
    "awards_valid_from_in_calendar": breaks_rule("valid_from", _CALENDAR),
    "awards_valid_to_in_calendar": breaks_rule("valid_to", _CALENDAR),
    "awards_end_after_they_begin": breaks_rule("valid_to", "must not be before valid_from"),
    "awards_reason_plain": not_plain("reason", 500),
    "awards_approved_by_plain": not_plain("approved_by", 100),
}
