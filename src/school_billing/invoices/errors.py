"""The errors of invoices, and which constraint of the schema means which error."""

from decimal import Decimal
from functools import partial
from typing import Self

from school_billing.platform.web.errors import Conflict, ConstraintErrors, DuplicateId, InUse, NotFound, breaks_rule
from school_billing.students.errors import StudentNotFound


class InvoiceNotFound(NotFound):
    """There is no such invoice. Check the id, and that you may see its school."""

    code = "invoice_not_found"


class InvoiceHasPayments(Conflict):
    """The invoice has payments. Refund or delete them first."""

    code = "invoice_has_payments"


class InvoiceIsVoid(Conflict):
    """The invoice is void and cannot be changed. Add a new invoice instead."""

    code = "invoice_void"


class Overpayment(Conflict):
    """The payments would exceed the total amount of the invoice. Pay at most its balance_due."""

    code = "overpayment"

    @classmethod
    def beyond(cls, balance_due: Decimal) -> Self:
        """Return the error with the figure that the client needs next."""
        return cls(f"The balance due on the invoice is {balance_due}; no more can be paid.")


class OverRefund(Conflict):
    """The refunds would exceed the payments on the invoice. Refund at most its paid_total."""

    code = "over_refund"

    @classmethod
    def beyond(cls, paid_total: Decimal) -> Self:
        """Return the error with the figure that the client needs next."""
        return cls(f"{paid_total} is paid on the invoice; no more can be refunded.")


class TotalsDiffer(Conflict):
    """The totals of an invoice follow from its payments and cannot be set. Change the payments instead."""

    code = "totals_differ"


class StudentHasInvoices(InUse):
    """The student has invoices and cannot be deleted. Delete the invoices first."""


_CALENDAR = "must be between 1900-01-01 and 2999-12-31"

CONSTRAINT_ERRORS: ConstraintErrors = {
    "invoices_pkey": DuplicateId,
    "invoices_student_id_fkey": partial(StudentNotFound, "There is no such student in the invoice's school."),
    ("invoices_student_id_fkey", "students/delete"): StudentHasInvoices,
    "invoices_total_amount_positive": breaks_rule("total_amount", "must be above zero"),
    "invoices_due_date_in_calendar": breaks_rule("due_date", _CALENDAR),
    "invoices_issued_at_in_calendar": breaks_rule("issued_at", _CALENDAR),
    "invoices_description_length": breaks_rule("description", "must have at most 500 characters"),
    "invoices_void_reason_length": breaks_rule("reason", "must have 1 to 500 characters"),
    "invoices_void_has_reason": breaks_rule("reason", "must be given for a void invoice"),
    "invoices_payments_not_negative": TotalsDiffer,
    "invoices_paid_at_most_total": Overpayment,
    "invoices_refunded_at_most_paid": OverRefund,
    "invoices_none_paid_when_void": InvoiceIsVoid,
    ("invoices_none_paid_when_void", "invoices/void"): InvoiceHasPayments,
    "invoices_totals_follow_payments": TotalsDiffer,
}
