"""The room of payments."""

from litestar.openapi.spec import Tag

from school_billing.payments.controller import PaymentController
from school_billing.payments.errors import MEANINGS
from school_billing.payments.repository import Payments
from school_billing.platform.database.pool import Database
from school_billing.platform.rooms import Room


def room(database: Database) -> Room:
    """Return what payments bring to the application."""
    return Room(
        Tag("payments", "Payments and refunds on invoices."),
        PaymentController,
        meanings=MEANINGS,
        payments=Payments(database),
    )
