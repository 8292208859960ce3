"""A question that only a working database answers."""

from school_billing.health.contracts import Health
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query

CHECK = Query("health/check", Health)


class HealthChecks:
    """Asks the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self) -> Health:
        """Return that the database answers.

        Raises:
            DatabaseUnavailable: It does not.
        """
        return await self._database.one(CHECK)
