"""The errors of students, and which constraint of the schema means which error."""

from school_billing.platform.web.errors import (
    Conflict,
    ConstraintErrors,
    DuplicateId,
    InUse,
    NotFound,
    breaks_rule,
    not_plain,
)
from school_billing.schools.errors import SchoolNotFound


class StudentNotFound(NotFound):
    """There is no such student. Check the id, and that you may see its school."""

    code = "student_not_found"


class DuplicateExternalId(Conflict):
    """The school has a student with this external id, in some case. Find it with GET /students?external_id=."""

    code = "duplicate_external_id"
    field = "external_id"


class SchoolHasStudents(InUse):
    """The school has students and cannot be deleted. Delete the students first."""


CONSTRAINT_ERRORS: ConstraintErrors = {
    "students_pkey": DuplicateId,
    "students_school_id_fkey": SchoolNotFound,
    ("students_school_id_fkey", "schools/delete"): SchoolHasStudents,
    "students_school_id_external_id_key": DuplicateExternalId,
    "students_full_name_plain": not_plain("full_name", 255),
    "students_external_id_plain": not_plain("external_id", 255),
    "students_group_name_plain": not_plain("group_name", 100),
    "students_left_on_in_calendar": breaks_rule("left_on", "must be between 1900-01-01 and 2999-12-31"),
}
