"""The errors of payments, and which constraint of the schema means which error."""

from functools import partial

from school_billing.invoices.errors import InvoiceNotFound, OverRefund
from school_billing.platform.web.errors import (
    Conflict,
    ConstraintErrors,
    DuplicateId,
    InUse,
    NotFound,
    breaks_rule,
    not_plain,
)
from school_billing.schools.errors import refuse_cents


class PaymentNotFound(NotFound):
    """There is no such payment or refund. Check the id, and that you may see its school."""

    code = "payment_not_found"


class BelongsToReceipt(Conflict):
    """This is money of a receipt, so it stays as it is. Take it back with POST /payments/{id}/reverse."""

    code = "belongs_to_receipt"


class InvoiceInUse(InUse):
    """The invoice has payments and cannot be deleted. Take the money back and void the invoice, or credit it."""


def refunds_money_of_receipts(beyond: str) -> OverRefund:
    """Return the error of a refund on the invoice of money that came with a receipt."""
    return OverRefund(
        f"{beyond} more would be refunded than was paid on the invoice without a receipt. Take money of a receipt back"
        " with POST /payments/{id}/reverse, then refund it with POST /receipts/{id}/refunds.",
        figures={"beyond": beyond},
    )


CONSTRAINT_ERRORS: ConstraintErrors = {
    "payments_pkey": DuplicateId,
    "payments_invoice_id_fkey": partial(InvoiceNotFound, "There is no such invoice in the payment's school."),
    ("payments_invoice_id_fkey", "invoices/delete"): InvoiceInUse,
    "payments_kind_known": breaks_rule("kind", "must be one of PAYMENT, REFUND"),
    "payments_kind_is_fixed": breaks_rule("kind", "cannot change: delete the payment and record it again"),
    "payments_amount_positive": breaks_rule("amount", "must be above zero"),
    ("amounts_fit_the_currency", "payments/create"): refuse_cents("amount"),
    ("amounts_fit_the_currency", "payments/update"): refuse_cents("amount"),
    "payments_method_plain": breaks_rule("method", "must be in lower case, with _ between words"),
    "payments_reference_plain": not_plain("reference", 255),
    "payments_reason_plain": not_plain("reason", 500),
    "payments_belong_to_receipt": BelongsToReceipt,
    "payments_refund_no_money_of_receipts": refunds_money_of_receipts,
    "payments_paid_at_in_calendar": breaks_rule("paid_at", "must be 1900-01-01 or later"),
    "payments_paid_at_not_in_future": breaks_rule("paid_at", "must not be in the future"),
}
