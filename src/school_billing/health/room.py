"""The room of health checks."""

from litestar.openapi.spec import Tag

from school_billing.health.controller import HealthController
from school_billing.health.repository import HealthChecks
from school_billing.platform.database.pool import Database
from school_billing.platform.rooms import Room


def room(database: Database) -> Room:
    """Return what health checks bring to the application."""
    return Room(Tag("health", "Whether the service is well."), HealthController, health_checks=HealthChecks(database))
