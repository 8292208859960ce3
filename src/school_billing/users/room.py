"""The room of users."""

from litestar.openapi.spec import Tag

from school_billing.platform.database.pool import Database
from school_billing.platform.rooms import Room
from school_billing.users.controller import UserController
from school_billing.users.errors import MEANINGS
from school_billing.users.repository import Users


def room(database: Database) -> Room:
    """Return what users bring to the application."""
    return Room(Tag("users", "Those who may log in."), UserController, meanings=MEANINGS, users=Users(database))
