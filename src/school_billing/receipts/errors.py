"""The errors of receipts, and which constraint of the schema means which error."""

from functools import partial

from school_billing.invoices.errors import OverRefund
from school_billing.payers.errors import PayerNotFound
from school_billing.payments.errors import PaymentNotFound
from school_billing.platform.web.errors import (
    Conflict,
    ConstraintErrors,
    DuplicateId,
    InUse,
    NotFound,
    breaks_rule,
    not_plain,
)
from school_billing.schools.errors import NumberIsFixed, SchoolNotFound, refuse_cents


class ReceiptNotFound(NotFound):
    """There is no such receipt. Check the id, and that you may see its school."""

    code = "receipt_not_found"


class ReceiptKnown(Conflict):
    """The school has booked this external_reference of the source before. Its receipt is receipt_id."""

    code = "receipt_known"


class ReceiptSpent(Conflict):
    """Less of the receipt is unallocated. Take an allocation back first, with POST /payments/{id}/reverse."""

    code = "receipt_spent"


class ReceiptReversed(Conflict):
    """The receipt is reversed: its money went. Book money that comes later as another receipt."""

    code = "receipt_reversed"


class ReceiptRefunded(Conflict):
    """Money of the receipt was given back, so the receipt cannot be reversed. Take back what it still pays."""

    code = "receipt_refunded"


class ReceiptAllocated(Conflict):
    """The receipt pays invoices, so its payer stays. Take the allocations back first."""

    code = "receipt_allocated"


class ReceiptMovedLater(Conflict):
    """The receipt has a later movement. Give a day after it, or leave the date out."""

    code = "receipt_moved_later"

    def __init__(self, moved_at: str = "") -> None:
        super().__init__(figures={"moved_at": moved_at} if moved_at else None)


class InvoiceNotIssued(Conflict):
    """The invoice is dated ahead and not owed yet. Allocate money to it from its issued_at on."""

    code = "invoice_not_issued"


class NotAllocated(Conflict):
    """The payment is not an allocation of a receipt, so it cannot be taken back. Record a refund, or delete it."""

    code = "not_allocated"


class AllocationReversed(Conflict):
    """The allocation is taken back already. Allocate the money of the receipt again if that was wrong."""

    code = "allocation_reversed"


class ReceiptIsFixed(Conflict):
    """A receipt and its movements stay as they are. Reverse the receipt, or take an allocation back."""

    code = "receipt_is_fixed"


class PayerHasReceipts(InUse):
    """The payer has receipts and cannot be deleted."""


class SchoolHasReceipts(InUse):
    """The school has receipts and cannot be deleted."""


class ReceiptTotalsDiffer(Conflict):
    """The totals of a receipt follow from its allocations and refunds. Change these instead."""

    code = "receipt_totals_differ"


ABOUT_INVOICES = {"invoices_paid_at_most_total", "invoices_none_paid_when_void", "payments_paid_at_not_in_future"}
"""The constraints that refuse to pay an invoice of a list."""

_METHOD = breaks_rule("method", "must be in lower case, with _ between words")
_NOT_IN_FUTURE = "must not be in the future"

CONSTRAINT_ERRORS: ConstraintErrors = {
    "receipts_pkey": DuplicateId,
    "receipts_school_id_fkey": SchoolNotFound,
    "receipts_payer_id_fkey": partial(PayerNotFound, "There is no such payer in the receipt's school."),
    ("receipts_payer_id_fkey", "payers/delete"): PayerHasReceipts,
    ("receipts_school_id_fkey", "schools/delete"): SchoolHasReceipts,
    "receipts_number_key": NumberIsFixed,
    "receipts_payer_has_name": ReceiptIsFixed,
    "receipts_amount_positive": breaks_rule("amount", "must be above zero"),
    ("amounts_fit_the_currency", "receipts/allocate"): refuse_cents("amount"),
    ("amounts_fit_the_currency", "receipts/refund"): refuse_cents("amount"),
    "receipts_method_plain": _METHOD,
    "receipts_reference_plain": not_plain("reference", 255),
    "receipts_source_plain": not_plain("source", 50),
    "receipts_external_reference_plain": not_plain("external_reference", 255),
    "receipts_external_reference_key": ReceiptKnown,
    "receipts_reverse_reason_plain": not_plain("reason", 500),
    "receipts_received_at_in_calendar": breaks_rule("received_at", "must be 1900-01-01 or later"),
    "receipts_received_at_not_in_future": breaks_rule("received_at", _NOT_IN_FUTURE),
    "receipts_reversed_at_not_in_future": breaks_rule("reversed_at", _NOT_IN_FUTURE),
    "receipts_reversed_after_received": breaks_rule("reversed_at", "must not be before received_at"),
    "receipts_reversed_has_reason": breaks_rule("reason", "must be given for a reversed receipt"),
    "receipts_totals_not_negative": ReceiptTotalsDiffer,
    "receipts_totals_follow_movements": ReceiptTotalsDiffer,
    "receipts_begin_with_their_payments": ReceiptTotalsDiffer,
    "receipts_spent_at_most_amount": ReceiptSpent,
    "receipts_none_refunded_when_reversed": ReceiptReversed,
    ("receipts_none_refunded_when_reversed", "receipts/reverse"): ReceiptRefunded,
    "receipts_none_allocated_when_reversed": ReceiptReversed,
    ("receipts_none_allocated_when_reversed", "receipts/reverse"): partial(
        ReceiptAllocated, "Others allocate the receipt at this moment. Try again."
    ),
    "receipts_reversed_pay_nothing": ReceiptReversed,
    ("invoices_refunded_at_most_paid", "receipts/reverse"): partial(
        OverRefund,
        "Money of the receipt was refunded on an invoice, so it cannot be taken back. Delete that refund first.",
    ),
    "receipts_move_in_order": ReceiptMovedLater,
    "receipts_are_fixed": ReceiptIsFixed,
    "receipt_refunds_pkey": DuplicateId,
    "receipt_refunds_receipt_id_fkey": ReceiptNotFound,
    "receipt_refunds_amount_positive": breaks_rule("amount", "must be above zero"),
    "receipt_refunds_method_plain": _METHOD,
    "receipt_refunds_reference_plain": not_plain("reference", 255),
    "receipt_refunds_reason_plain": not_plain("reason", 500),
    "receipt_refunds_refunded_at_not_in_future": breaks_rule("refunded_at", _NOT_IN_FUTURE),
    "receipt_refunds_are_fixed": ReceiptIsFixed,
    "payments_receipt_id_fkey": ReceiptNotFound,
    "payments_reverses_id_fkey": PaymentNotFound,
    "payments_reverses_id_key": AllocationReversed,
    "payments_refunds_of_receipts_name_their_payment": ReceiptIsFixed,
    "payments_take_back_a_whole_allocation": ReceiptIsFixed,
    "payments_follow_receipt_and_invoice": ReceiptMovedLater,
    ("payments_paid_at_not_in_future", "receipts/allocate"): InvoiceNotIssued,
    ("payments_paid_at_not_in_future", "receipts/reverse"): breaks_rule("reversed_at", _NOT_IN_FUTURE),
}
