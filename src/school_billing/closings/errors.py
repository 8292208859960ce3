"""The errors of closings, and which constraint of the schema means which error."""

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


class ClosingNotFound(NotFound):
    """There is no such closing. Check the id, and that you may see its school."""

    code = "closing_not_found"


class AlreadyClosed(Conflict):
    """The day is closed already: closing_id is the latest closing. Close a day from earliest_open_date on."""

    code = "already_closed"

    def __init__(self, **figures: str) -> None:
        super().__init__(figures=figures)


class ClosingIsFixed(Conflict):
    """A closing stays as it is. Reopen the latest one with POST /closings/{id}/reopen."""

    code = "closing_is_fixed"


class ClosingReopened(Conflict):
    """The closing is reopened already. Close the period again when it is right."""

    code = "closing_reopened"


class LaterClosing(Conflict):
    """A later period is closed, too. Reopen the latest closing first."""

    code = "later_closing"


class FiguresDoNotTie(Conflict):
    """The figures of the period do not add up, so it stays open. Ask the operator to verify the ledger."""

    code = "figures_do_not_tie"


class SchoolHasClosings(InUse):
    """The school has closings and cannot be deleted."""


CONSTRAINT_ERRORS: ConstraintErrors = {
    "closings_pkey": DuplicateId,
    "closings_school_id_fkey": SchoolNotFound,
    ("closings_school_id_fkey", "schools/delete"): SchoolHasClosings,
    "closings_go_forward": AlreadyClosed,
    "closings_through_key": AlreadyClosed,
    "closings_day_is_over": breaks_rule("through", "must be a day that is over in the school's time zone"),
    "closings_through_in_calendar": breaks_rule("through", "must be between 1900-01-01 and 2999-12-31"),
    "closings_reason_plain": not_plain("reason", 500),
    "closings_reopen_reason_plain": not_plain("reason", 500),
    "closings_reopened_has_reason": breaks_rule("reason", "must be given for a reopened closing"),
    "closings_tie": FiguresDoNotTie,
    "closings_are_fixed": ClosingIsFixed,
    "closings_reopen_the_latest": LaterClosing,
}
