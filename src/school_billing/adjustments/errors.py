"""The errors of adjustments, and which constraint of the schema means which error."""

from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Self

from school_billing.invoices.errors import InvoiceIsVoid, InvoiceNotFound, OverRefund
from school_billing.platform.web.errors import (
    Conflict,
    ConstraintErrors,
    DuplicateId,
    InUse,
    NotFound,
    breaks_rule,
    not_plain,
)
from school_billing.schools.errors import NumberIsFixed, refuse_cents


class AdjustmentNotFound(NotFound):
    """There is no such adjustment. Check the id, and that you may see its school."""

    code = "adjustment_not_found"


class OverAdjustment(Conflict):
    """More would be taken off the invoice than is owed on it. Adjust at most its balance_due."""

    code = "over_adjustment"

    @classmethod
    def on(cls, date: str, total_amount: str, balance_due: str) -> Self:
        """Return the error of an adjustment that is possible now, but not with what was paid on an earlier day."""
        return cls(
            f"On {date}, {-Decimal(balance_due)} more would be taken off the invoice than was owed. Give a later"
            " adjusted_at, or leave it out.",
            figures={"date": date, "total_amount": total_amount, "balance_due": balance_due},
        )


class PaidDirectly(Conflict):
    """Money that was paid directly on the invoice cannot be released. Refund it first, then add the credit note."""

    code = "paid_directly"


class AdjustmentReversed(Conflict):
    """The adjustment is reversed already. Add a new one if that was wrong."""

    code = "adjustment_reversed"


class AdjustmentIsReversal(Conflict):
    """A reversal cannot be reversed. Add a new adjustment instead."""

    code = "adjustment_is_reversal"


class AdjustmentIsFixed(Conflict):
    """An adjustment stays as it is. Take it back with POST /adjustments/{id}/reverse."""

    code = "adjustment_is_fixed"


class InvoiceHasAdjustments(InUse):
    """The invoice has adjustments and cannot be deleted. Reverse those that count, then void it."""


def _paid_directly(paid_by_receipts: str) -> PaidDirectly:
    return PaidDirectly(
        f"Only {paid_by_receipts} of what is paid on the invoice is money of receipts. Refund what was paid directly,"
        " then add the credit note.",
        figures={"paid_by_receipts": paid_by_receipts},
    )


_CREATE = "adjustments/create"
_WRITE_OFF = "adjustments/write_off"

CONSTRAINT_ERRORS: ConstraintErrors = {
    "adjustments_pkey": DuplicateId,
    "adjustments_invoice_id_fkey": InvoiceNotFound,
    ("adjustments_invoice_id_fkey", "invoices/delete"): InvoiceHasAdjustments,
    "adjustments_reverses_id_fkey": AdjustmentNotFound,
    "invoices_early_adjustment_id_fkey": AdjustmentNotFound,
    "adjustments_reverses_id_key": AdjustmentReversed,
    "adjustments_reverse_a_whole_adjustment": AdjustmentIsFixed,
    "adjustments_number_key": NumberIsFixed,
    "adjustments_kind_known": breaks_rule("kind", "must be one of CREDIT_NOTE, DISCOUNT, WRITE_OFF"),
    "adjustments_amount_positive": breaks_rule("amount", "must be above zero"),
    ("amounts_fit_the_currency", _CREATE): refuse_cents("amount"),
    "adjustments_reason_plain": not_plain("reason", 500),
    "adjustments_adjusted_at_not_in_future": breaks_rule("adjusted_at", "must not be in the future"),
    "adjustments_follow_invoice": breaks_rule("adjusted_at", "must not be before the invoice's issued_at"),
    "adjustments_are_fixed": AdjustmentIsFixed,
    "adjustments_release_receipts_only": _paid_directly,
    "adjustment_lines_pkey": DuplicateId,
    "adjustment_lines_adjustment_id_fkey": AdjustmentNotFound,
    "adjustment_lines_position_key": AdjustmentIsFixed,
    "adjustment_lines_position_in_range": breaks_rule("lines", "must be 1 to 100 lines"),
    "adjustment_lines_description_plain": breaks_rule("lines", "must have plain descriptions of 1 to 255 characters"),
    "adjustment_lines_category_plain": breaks_rule("lines", "must have plain categories of 1 to 50 characters"),
    "adjustment_lines_amount_is_number": breaks_rule("lines", "must have amounts"),
    "adjustment_lines_sum_to_amount": AdjustmentIsFixed,
    "adjustment_lines_are_fixed": AdjustmentIsFixed,
    ("invoices_none_paid_when_void", _CREATE): InvoiceIsVoid,
    ("invoices_paid_at_most_total_on_every_day", _CREATE): OverAdjustment.on,
    ("invoices_paid_at_most_total_on_every_day", _WRITE_OFF): OverAdjustment.on,
    ("invoices_refunded_at_most_paid", _CREATE): partial(
        OverRefund,
        "Money of a receipt was refunded on the invoice, so it cannot be released. Delete that refund first.",
    ),
}

SENTENCES: Mapping[str, str] = {
    "adjustments/create": "The balance due on the invoice is {balance_due}; no more can be taken off.",
    "adjustments/write_off": "Nothing is left on the invoice, so there is nothing to write off.",
}
"""What an OverAdjustment says, by the query."""

RELEASE = " With release: true, a credit note takes money of receipts off the invoice first."
