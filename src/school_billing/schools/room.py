"""The room of schools."""

from litestar.openapi.spec import Tag

from school_billing.platform.database.pool import Database
from school_billing.platform.rooms import Room
from school_billing.schools.controller import SchoolController
from school_billing.schools.errors import MEANINGS
from school_billing.schools.repository import Schools


def room(database: Database) -> Room:
    """Return what schools bring to the application."""
    return Room(
        Tag("schools", "The tenants, each with its currency and its time zone."),
        SchoolController,
        meanings=MEANINGS,
        schools=Schools(database),
    )
