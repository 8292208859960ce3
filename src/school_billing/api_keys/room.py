"""The room of API keys."""

from litestar.openapi.spec import Tag

from school_billing.api_keys.controller import ApiKeyController
from school_billing.api_keys.errors import MEANINGS
from school_billing.api_keys.repository import ApiKeys
from school_billing.platform.database.pool import Database
from school_billing.platform.rooms import Room


def room(database: Database) -> Room:
    """Return what api keys bring to the application."""
    return Room(Tag("api-keys", "Keys for machines."), ApiKeyController, meanings=MEANINGS, api_keys=ApiKeys(database))
