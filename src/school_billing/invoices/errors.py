"""The errors of invoices, and which constraint of the schema means which error."""

from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Self

from school_billing.invoices.contracts import Invoice
from school_billing.payers.errors import PayerNotFound
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
from school_billing.students.errors import StudentNotFound


class InvoiceNotFound(NotFound):
    """There is no such invoice. Check the id, and that you may see its school."""

    code = "invoice_not_found"


class InvoiceHasPayments(Conflict):
    """The invoice has payments. Take back what receipts pay, and refund or delete other payments."""

    code = "invoice_has_payments"


class InvoiceIsVoid(Conflict):
    """The invoice is void and cannot be changed. Add a new invoice instead."""

    code = "invoice_void"


class InvoiceWrittenOff(Conflict):
    """The invoice is written off. Reverse adjustment_id with POST /adjustments/{id}/reverse, then record the money."""

    code = "invoice_written_off"

    def __init__(self, adjustment_id: str = "") -> None:
        super().__init__(figures={"adjustment_id": adjustment_id})


class InvoiceAdjusted(Conflict):
    """The invoice has adjustments. Reverse adjustment_id with POST /adjustments/{id}/reverse, then void the invoice."""

    code = "invoice_adjusted"

    def __init__(self, adjustment_id: str = "") -> None:
        super().__init__(figures={"adjustment_id": adjustment_id})


class InvoiceHasLines(Conflict):
    """The total of the invoice is the sum of its lines. Change all lines instead."""

    code = "invoice_has_lines"


class InvoiceLinesAreFixed(Conflict):
    """Something is paid or credited, or the invoice has a number, so its lines stay. Void it and add a new invoice."""

    code = "invoice_lines_fixed"


class InvoiceNumbered(Conflict):
    """The invoice has a number and cannot be deleted, because a number would be missing. Void it."""

    code = "invoice_numbered"


class Overpayment(Conflict):
    """The payments would exceed what is owed on the invoice. Pay at most its balance_due."""

    code = "overpayment"

    @classmethod
    def on(cls, date: str, total_amount: str, balance_due: str) -> Self:
        """Return the error of a change that is possible now, but not with what was paid on an earlier day."""
        paid = Decimal(total_amount) - Decimal(balance_due)
        return cls(
            f"On {date}, {paid} would be paid or adjusted on the invoice of {total_amount}. Change a date or an amount,"
            " or void the invoice and add a new one.",
            figures={"date": date, "total_amount": total_amount, "balance_due": balance_due},
        )


class OverRefund(Conflict):
    """The refunds would exceed the payments on the invoice. Refund at most its paid_total."""

    code = "over_refund"

    @classmethod
    def on(cls, date: str, total_amount: str, balance_due: str, beyond: str) -> Self:
        """Return the error of a change that is possible now, but not with what was refunded on an earlier day."""
        return cls(
            f"On {date}, {beyond} more would be refunded on the invoice than was paid. Change a date or an amount.",
            figures={"date": date, "total_amount": total_amount, "balance_due": balance_due},
        )


class TotalsDiffer(Conflict):
    """The totals of an invoice follow from its payments and adjustments and cannot be set. Change these instead."""

    code = "totals_differ"


class IssuedAfterAllocation(Conflict):
    """Money of receipts was allocated to the invoice before that date. Take the allocations back first."""

    code = "issued_after_allocation"


class IssuedAfterAdjustment(Conflict):
    """The invoice has an adjustment that is dated before that. Choose a date of issue that is not after it."""

    code = "issued_after_adjustment"


class StudentHasInvoices(InUse):
    """The student has invoices and cannot be deleted. Set left_on, or delete the invoices first."""


class PayerHasInvoices(InUse):
    """The payer has invoices and cannot be deleted. Delete the invoices first."""


class InvoiceHasLateFees(InUse):
    """The invoice has late fees, also if they are void, and cannot be deleted. Void it."""


DATED_BY_WAITING = frozenset(
    {"invoices_paid_at_most_total_on_every_day", "invoices_refunded_at_most_paid_on_every_day"}
)
"""The constraints that refuse a movement of now that waited for a younger one."""

_CALENDAR = "must be between 1900-01-01 and 2999-12-31"

CONSTRAINT_ERRORS: ConstraintErrors = {
    "invoices_pkey": DuplicateId,
    "invoices_student_id_fkey": partial(StudentNotFound, "There is no such student in the invoice's school."),
    ("invoices_student_id_fkey", "students/delete"): StudentHasInvoices,
    "invoices_payer_id_fkey": partial(PayerNotFound, "There is no such payer in the invoice's school."),
    ("invoices_payer_id_fkey", "payers/delete"): PayerHasInvoices,
    "invoices_payer_is_fixed": breaks_rule("payer_id", "cannot change: void the invoice and add another one"),
    "invoices_late_invoice_id_fkey": partial(InvoiceNotFound, "There is no such late invoice in the invoice's school."),
    ("invoices_late_invoice_id_fkey", "invoices/delete"): InvoiceHasLateFees,
    "invoices_number_key": NumberIsFixed,
    "invoices_number_is_fixed": NumberIsFixed,
    "invoices_numbered_are_voided": InvoiceNumbered,
    "invoices_issued_before_allocations": IssuedAfterAllocation,
    "invoices_issued_before_adjustments": IssuedAfterAdjustment,
    "invoices_early_discount_is_whole": breaks_rule("early_until", "must be given with early_discount"),
    "invoices_early_discount_in_range": breaks_rule("total_amount", "must be more than the early_discount"),
    "invoices_total_amount_positive": breaks_rule("total_amount", "must be above zero"),
    "amounts_fit_the_currency": refuse_cents("total_amount"),
    "invoices_due_date_in_calendar": breaks_rule("due_date", _CALENDAR),
    "invoices_issued_at_in_calendar": breaks_rule("issued_at", _CALENDAR),
    "invoices_description_length": breaks_rule("description", "must have at most 500 characters"),
    "invoices_description_plain": not_plain("description", 500),
    "invoices_void_reason_plain": not_plain("reason", 500),
    "invoices_void_has_reason": breaks_rule("reason", "must be given for a void invoice"),
    "invoices_totals_not_negative": TotalsDiffer,
    "invoices_none_adjusted_when_void": InvoiceIsVoid,
    "invoices_adjusted_are_not_voided": InvoiceAdjusted,
    "invoices_written_off_take_no_payments": InvoiceWrittenOff,
    "invoices_paid_at_most_total": Overpayment,
    "invoices_refunded_at_most_paid": OverRefund,
    "invoices_paid_at_most_total_on_every_day": Overpayment.on,
    "invoices_refunded_at_most_paid_on_every_day": OverRefund.on,
    "invoices_none_paid_when_void": InvoiceIsVoid,
    ("invoices_none_paid_when_void", "invoices/void"): InvoiceHasPayments,
    "invoices_totals_follow_payments": TotalsDiffer,
    "invoices_total_follows_lines": InvoiceHasLines,
    "invoice_lines_pkey": DuplicateId,
    "invoice_lines_invoice_id_fkey": InvoiceNotFound,
    "invoice_lines_position_key": InvoiceHasLines,
    "invoice_lines_position_in_range": breaks_rule("lines", "must be 1 to 100 lines"),
    "invoice_lines_description_plain": breaks_rule("lines", "must have plain descriptions of 1 to 255 characters"),
    "invoice_lines_category_plain": breaks_rule("lines", "must have plain categories of 1 to 50 characters"),
    "invoice_lines_amount_is_number": breaks_rule("lines", "must have amounts"),
    "invoice_lines_sum_to_total": InvoiceHasLines,
    "invoice_lines_are_fixed": InvoiceLinesAreFixed,
}

SENTENCES: Mapping[str | tuple[str, str], tuple[type[Conflict], str]] = {
    "invoices_paid_at_most_total": (
        Overpayment,
        "The balance due on the invoice is {balance_due}; no more can be paid.",
    ),
    ("invoices_paid_at_most_total", "invoices/update"): (
        Overpayment,
        "{settled} is paid, credited or written off on the invoice, so its total cannot be less. Refund payments or"
        " reverse adjustments first.",
    ),
    ("invoices_paid_at_most_total", "payments/delete"): (
        Overpayment,
        "The balance due on the invoice is {balance_due}, less than this refund. Delete a payment first.",
    ),
    "invoices_refunded_at_most_paid": (
        OverRefund,
        "{paid_total} is paid on the invoice; no more can be refunded.",
    ),
    ("invoices_refunded_at_most_paid", "payments/update"): (
        OverRefund,
        "{payments_total} was paid on the invoice and {refunds_total} refunded; no more can be refunded than paid.",
    ),
    ("invoices_refunded_at_most_paid", "payments/delete"): (
        OverRefund,
        "{refunds_total} is refunded on the invoice, and less would be paid. Delete a refund first.",
    ),
    ("invoices_none_paid_when_void", "invoices/void"): (
        InvoiceHasPayments,
        "{paid_total} is paid on the invoice. Take back what receipts pay, with POST /payments/{{id}}/reverse, and"
        " refund or delete other payments. Then void it.",
    ),
}
"""The errors whose sentence has figures of the invoice, by the constraint, or by the constraint and the query."""


def figures_of(invoice: Invoice) -> dict[str, object]:
    """Return what an error tells about its invoice."""
    return {
        "invoice_id": invoice.id,
        "total_amount": invoice.total_amount,
        "payments_total": invoice.payments_total,
        "refunds_total": invoice.refunds_total,
        "paid_total": invoice.paid_total,
        "credited_total": invoice.credited_total,
        "discounted_total": invoice.discounted_total,
        "written_off_total": invoice.written_off_total,
        "balance_due": invoice.balance_due,
    }
