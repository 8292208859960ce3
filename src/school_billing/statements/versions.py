"""The version of what a statement tells of, by which a kept one, or a standby, is known to be right."""

from datetime import date, datetime
from uuid import UUID

import msgspec

from school_billing.platform.database.sql import Query


class StatementVersion(msgspec.Struct, frozen=True):
    """Which version of a school's statements a database has."""

    changes: int
    """How many changes there were in the school until now."""
    newest: UUID | None
    """The last of them, by which two databases that share a Redis differ."""
    today: date
    """The school's day."""
    issued_until: datetime | None
    """The last invoice's date until now: one that is dated ahead comes by itself."""
    head: bytes | None
    """The hash at the end of the school's chain, which covers all that is sealed."""
    unsealed: bytes | None
    """A hash of the ids of what is not sealed yet."""
    asked_at: datetime
    """The database's clock."""
    in_recovery: bool
    """Whether the database is a standby."""

    def __str__(self) -> str:
        return f"{self.changes}@{self.newest}@{self.today}@{self.issued_until}"

    def is_level_with(self, primary: "StatementVersion") -> bool:
        """Return whether this is a standby's, and the standby has exactly the changes that `primary` has.

        Only a standby will do: it replays each transaction whole. What else has the trail may lack the rows.
        """
        comparable = msgspec.structs.replace(self, asked_at=primary.asked_at, in_recovery=primary.in_recovery)
        return self.in_recovery and comparable == primary


VERSION = Query(
    "statements/version",
    StatementVersion,
    tenant=UUID | None,
    school_id=UUID | None,
    student_id=UUID | None,
)
