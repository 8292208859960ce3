"""The health check of the database."""

from school_billing.health.contracts import Health
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query

CHECK = Query("health/check", Health)


class HealthChecks:
    """Runs a query that reads no table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self) -> Health:
        """Return "ok". DatabaseUnavailable if the database does not answer."""
        return await self._database.one(CHECK)
