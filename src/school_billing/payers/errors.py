"""The errors of payers, and which constraint of the schema means which error."""

from collections.abc import Sequence
from decimal import Decimal
from functools import partial

from school_billing.payers.contracts import WHOLE, PayerKind, StudentPayerIn
from school_billing.platform.web.errors import (
    Conflict,
    ConstraintErrors,
    DuplicateId,
    FieldError,
    InUse,
    InvalidBody,
    NotFound,
    breaks_rule,
    not_plain,
    require_each_once,
)
from school_billing.schools.errors import SchoolNotFound
from school_billing.students.errors import DuplicateExternalId, StudentNotFound

STUDENT_PAYERS_MOST = 100


class PayerNotFound(NotFound):
    """There is no such payer. Check the id, and that you may see its school."""

    code = "payer_not_found"


class DuplicatePayer(DuplicateExternalId):
    """The school has a payer with this external id, in some case. Find it with GET /payers?external_id=."""


class SchoolHasPayers(InUse):
    """The school has payers and cannot be deleted. Delete the payers first."""


class PayerHasStudents(InUse):
    """The payer pays a share for students and cannot be deleted. Set other payers of these students first."""


class StudentPayersChanged(Conflict):
    """The payers of the student were changed at the same time. Send the request again."""

    code = "student_payers_changed"


def refuse_shares(payers: Sequence[StudentPayerIn]) -> None:
    """Raise InvalidBody if the shares do not sum to the whole, or if a payer is named twice.

    The database checks the sum, too, but together with what a parallel request leaves.
    """
    if len(payers) > STUDENT_PAYERS_MOST:
        raise InvalidBody(errors=[FieldError("payers", f"must have at most {STUDENT_PAYERS_MOST} payers")])
    require_each_once("payers[{}].payer_id", (payer.payer_id for payer in payers))
    total = sum((payer.share for payer in payers), Decimal("0.0000"))
    if payers and total != WHOLE:
        raise InvalidBody(errors=[FieldError("payers", f"must sum to {WHOLE}, not {total}")])


CONSTRAINT_ERRORS: ConstraintErrors = {
    "payers_pkey": DuplicateId,
    "payers_school_id_fkey": SchoolNotFound,
    ("payers_school_id_fkey", "schools/delete"): SchoolHasPayers,
    "payers_school_id_external_id_key": DuplicatePayer,
    "payers_payment_reference_key": DuplicateId,
    "payers_kind_known": breaks_rule("kind", f"must be one of {', '.join(PayerKind)}"),
    "payers_name_plain": not_plain("name", 255),
    "payers_email_shape": breaks_rule("email", "must be an email address such as marge@springfield.example"),
    "payers_phone_plain": not_plain("phone", 50),
    "payers_external_id_plain": not_plain("external_id", 255),
    "payers_language_shape": breaks_rule("language", "must be a language tag such as en or es-MX"),
    "student_payers_pkey": DuplicateId,
    "student_payers_payer_id_key": breaks_rule("payers", "must name each payer once"),
    "student_payers_student_id_fkey": partial(StudentNotFound, "There is no such student in the payer's school."),
    ("student_payers_student_id_fkey", "students/delete"): StudentPayersChanged,
    "student_payers_payer_id_fkey": partial(PayerNotFound, "There is no such payer in the student's school."),
    ("student_payers_payer_id_fkey", "payers/delete"): PayerHasStudents,
    "student_payers_share_in_range": breaks_rule("share", "must be above zero and at most 100"),
    "student_payers_are_fixed": breaks_rule("payers", "must be set for each student"),
    "student_payers_sum_to_100": StudentPayersChanged,
}
