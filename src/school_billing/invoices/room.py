"""The room of invoices."""

from litestar.openapi.spec import Tag

from school_billing.invoices.controller import InvoiceController
from school_billing.invoices.errors import MEANINGS
from school_billing.invoices.repository import Invoices
from school_billing.platform.database.pool import Database
from school_billing.platform.rooms import Room


def room(database: Database) -> Room:
    """Return what invoices bring to the application."""
    return Room(
        Tag("invoices", "Invoices raised on students."),
        InvoiceController,
        meanings=MEANINGS,
        invoices=Invoices(database),
    )
