"""The errors of schools, and which constraint of the schema means which error."""

from school_billing.platform.web.errors import Conflict, ConstraintErrors, DuplicateId, NotFound, breaks_rule


class SchoolNotFound(NotFound):
    """There is no such school. Check the id, and that you may see the school."""

    code = "school_not_found"


class CurrencyInUse(Conflict):
    """The school has invoices, so its currency cannot change. Add a school with the other currency."""

    code = "currency_in_use"


class SchoolIsFixed(Conflict):
    """Payments, users and API keys cannot move to another school. Add a new one there."""

    code = "school_is_fixed"


CONSTRAINT_ERRORS: ConstraintErrors = {
    "schools_pkey": DuplicateId,
    "schools_name_length": breaks_rule("name", "must have 1 to 255 characters"),
    "schools_currency_is_iso_4217": breaks_rule("currency", "must be an ISO 4217 code such as USD"),
    "schools_time_zone_is_known": breaks_rule("time_zone", "must be an IANA time zone such as America/Chicago"),
    "school_id_is_fixed": SchoolIsFixed,
}
