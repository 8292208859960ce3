"""The errors of schools, and which constraint of the schema means which error."""

from school_billing.platform.web.errors import (
    ApiError,
    Conflict,
    ConstraintErrors,
    DuplicateId,
    ErrorFactory,
    InUse,
    NotFound,
    breaks_rule,
    not_plain,
)


class SchoolNotFound(NotFound):
    """There is no such school. Check the id, and that you may see the school."""

    code = "school_not_found"


class CurrencyInUse(Conflict):
    """The school has amounts, such as prices, so its currency cannot change. Add a school with the other currency."""

    code = "currency_in_use"


class InvoicePrefixInUse(Conflict):
    """Numbers of the school begin with its invoice_prefix, so it cannot change. Leave it out."""

    code = "invoice_prefix_in_use"


class NumberIsFixed(Conflict):
    """The number of a document is given by the database and never changes. Leave it out."""

    code = "number_is_fixed"


class PeriodClosed(Conflict):
    """What is dated in a closed period stays. Date a correction, such as a credit note, from earliest_open_date on."""

    code = "period_closed"

    def __init__(self, earliest_open_date: str) -> None:
        super().__init__(figures={"earliest_open_date": earliest_open_date})


class SchoolIsFixed(Conflict):
    """Payments, users and API keys cannot move to another school. Add a new one there."""

    code = "school_is_fixed"


def refuse_cents(field: str) -> ErrorFactory:
    """Return a factory of the error that `field` has cents, which the school's currency lacks."""

    def refused(currency: str = "The currency") -> ApiError:
        return breaks_rule(field, f"must be a whole number, because {currency} has no cents")()

    return refused


CONSTRAINT_ERRORS: ConstraintErrors = {
    "schools_pkey": DuplicateId,
    "schools_name_plain": not_plain("name", 255),
    "schools_address_plain": not_plain("address", 500),
    "schools_payment_instructions_plain": not_plain("payment_instructions", 1000),
    "schools_iban_is_valid": breaks_rule("iban", "must be an IBAN with the right check digits"),
    "schools_currency_is_iso_4217": breaks_rule("currency", "must be an ISO 4217 code such as USD"),
    "schools_currency_fits_the_books": breaks_rule(
        "currency", "must have at most two decimals, as the books do, so KWD does not fit"
    ),
    "schools_invoice_prefix_shape": breaks_rule("invoice_prefix", "must be 1 to 10 capital letters and digits"),
    "schools_invoice_prefix_is_fixed": InvoicePrefixInUse,
    "document_counters_pkey": NumberIsFixed,
    "document_counters_school_id_fkey": SchoolNotFound,
    ("document_counters_school_id_fkey", "schools/delete"): InUse,
    "document_counters_series_known": NumberIsFixed,
    "document_counters_last_number_positive": NumberIsFixed,
    "document_numbers_follow_counters": NumberIsFixed,
    "schools_currency_is_fixed": CurrencyInUse,
    "schools_time_zone_is_known": breaks_rule("time_zone", "must be an IANA time zone such as America/Chicago"),
    "closed_periods_stay": PeriodClosed,
    "school_id_is_fixed": SchoolIsFixed,
}
