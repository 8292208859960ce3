"""The users table."""

from uuid import UUID

from school_billing.auth.contracts import Credentials, Role
from school_billing.database.pool import Database
from school_billing.database.sql import Query

FIND = Query("auth/find", Credentials, username=str)
CREATE = Query("auth/create", Credentials, username=str, password_hash=str, role=str, school_id=UUID | None)


class Users:
    """Those who may log in; names are compared without regard to case."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, username: str) -> Credentials | None:
        """Return what is stored of the user, or None."""
        return await self._database.one(FIND, username=username.lower())

    async def create(self, username: str, password_hash: str, role: Role, school_id: UUID | None = None) -> bool:
        """Add a user unless the name is taken; tell whether it was added."""
        created = await self._database.one(
            CREATE,
            username=username.lower(),
            password_hash=password_hash,
            role=role.value,
            school_id=school_id,
        )
        return created is not None
