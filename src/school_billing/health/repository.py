"""The health check of the database."""

import msgspec

from school_billing.platform.database.errors import SchemaOutdated
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query, resource_folder


class Check(msgspec.Struct, frozen=True):
    """What the database says."""

    is_migrated: bool


CHECK = Query("health/check", Check)


class HealthChecks:
    """Asks whether the database has every migration of this release."""

    def __init__(self, database: Database) -> None:
        self._database = database
        files = resource_folder("migrations").glob("[0-9]*.sql")
        self._migrations = [file.stem for file in files if not file.stem.endswith(".rollback")]

    async def check(self) -> None:
        """Raise DatabaseUnavailable if the database does not answer, and SchemaOutdated if it lacks a migration."""
        if not (await self._database.one(CHECK, migrations=self._migrations)).is_migrated:
            raise SchemaOutdated
