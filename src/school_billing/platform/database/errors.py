"""The errors of the database. Their messages have no text of the driver."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from school_billing.platform.database.sql import AnyQuery


class DatabaseError(Exception):
    """A query was not answered."""


class ConstraintViolated(DatabaseError):
    """A named constraint of the schema refused the change. A trigger that is such a constraint may tell `facts`."""

    def __init__(self, constraint: str, query: "AnyQuery", facts: Mapping[str, str]) -> None:
        super().__init__(f"{query.name}: {constraint}")
        self.constraint = constraint
        self.query = query
        self.facts = facts


class ValueRefused(DatabaseError):
    """A value has the right type but no meaning for the database, such as an instant outside its calendar."""


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached, is starting or stopping, or did not answer in time."""


class SchemaOutdated(DatabaseUnavailable):
    """The database lacks a migration."""

    def __init__(self) -> None:
        super().__init__(
            "The database is not migrated: run `school-billing migrate` first, and on a cluster also "
            "`school-billing distribute`."
        )


class StatementCanceled(DatabaseUnavailable):
    """PostgreSQL canceled a statement: it took too long, or a standby had to replay changes to the rows it read."""


class ConnectionsBusy(DatabaseUnavailable):
    """Too many connections are in use."""
