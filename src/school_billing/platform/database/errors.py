"""What can go wrong between a query and its answer, without a driver's words in it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from school_billing.platform.database.sql import AnyQuery


class DatabaseError(Exception):
    """A query was not answered."""


class ConstraintViolated(DatabaseError):
    """A named constraint of the schema refused the change."""

    def __init__(self, constraint: str, query: "AnyQuery") -> None:
        super().__init__(f"{query.name}: {constraint}")
        self.constraint = constraint
        self.query = query


class ValueRefused(DatabaseError):
    """A value has the right type but no meaning for the database, such as an instant outside its calendar."""


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached, is starting or stopping, or did not answer in time."""


class SchemaOutdated(DatabaseUnavailable):
    """The database lacks something that the query needs: `school-billing migrate` was not run."""


class StatementCanceled(DatabaseUnavailable):
    """PostgreSQL gave a statement up: it took too long, or a standby had to replay what it was still reading."""


class ConnectionsBusy(DatabaseUnavailable):
    """As many connections as may be are in use."""
