"""The errors of payments, and which constraint of the schema means which error."""

from functools import partial

from school_billing.invoices.errors import InvoiceNotFound
from school_billing.platform.web.errors import ConstraintErrors, DuplicateId, InUse, NotFound, breaks_rule


class PaymentNotFound(NotFound):
    """There is no such payment or refund. Check the id, and that you may see its school."""

    code = "payment_not_found"


class InvoiceInUse(InUse):
    """The invoice has payments and cannot be deleted. Refund them and void the invoice instead."""


CONSTRAINT_ERRORS: ConstraintErrors = {
    "payments_pkey": DuplicateId,
    "payments_invoice_id_fkey": partial(InvoiceNotFound, "There is no such invoice in the payment's school."),
    ("payments_invoice_id_fkey", "invoices/delete"): InvoiceInUse,
    "payments_kind_known": breaks_rule("kind", "must be one of PAYMENT, REFUND"),
    "payments_amount_positive": breaks_rule("amount", "must be above zero"),
    "payments_method_length": breaks_rule("method", "must have 1 to 50 characters"),
    "payments_reference_length": breaks_rule("reference", "must have 1 to 255 characters"),
    "payments_paid_at_in_calendar": breaks_rule("paid_at", "must be 1900-01-01 or later"),
    "payments_paid_at_not_in_future": breaks_rule("paid_at", "must not be in the future"),
}
