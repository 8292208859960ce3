"""The users table."""

from uuid import UUID

from school_billing.auth.contracts import Role, Tenant
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.web.conditional import ANY_VERSION, IfMatch, refuse_change
from school_billing.platform.web.json_body import set_or_none
from school_billing.platform.web.pages import Listed, Page
from school_billing.schools.errors import SchoolNotFound
from school_billing.users.contracts import User, UserPatch
from school_billing.users.errors import UserNotFound

CREATE = Query("users/create", User)
FIND = Query("users/find", User)
GET = Query("users/get", User)
LIST = Query("users/list", User)
UPDATE = Query("users/update", User)
UNLOCK = Query("users/unlock", int)
SET_PASSWORD = Query("users/set_password", User)


class Users:
    """Users. A user of another school than the tenant is a UserNotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, tenant: Tenant, username: str, password_hash: str, role: Role, school_id: UUID | None
    ) -> User:
        """Add a user, of the tenant's school by default. SchoolNotFound for another school."""
        return await self._database.one_or_raise(
            CREATE,
            SchoolNotFound,
            tenant=tenant,
            username=username.lower(),
            password_hash=password_hash,
            role=role,
            school_id=school_id or tenant,
        )

    async def find(self, username: str) -> User | None:
        """Return the user with this name, for commands."""
        return await self._database.one_or_none(FIND, username=username.lower())

    async def get(self, tenant: Tenant, user_id: UUID) -> User:
        """Return a user."""
        return await self._database.one_or_raise(GET, UserNotFound, tenant=tenant, user_id=user_id)

    async def list(self, tenant: Tenant, school_id: UUID | None, page: Page) -> Listed[User]:
        """Return a page of users."""
        return await page.read(self._database, LIST, tenant=tenant, school_id=school_id)

    async def update(self, tenant: Tenant, user_id: UUID, patch: UserPatch, if_match: IfMatch = ANY_VERSION) -> User:
        """Change the given fields."""
        updated = await self._database.one_or_none(
            UPDATE,
            tenant=tenant,
            user_id=user_id,
            if_match=if_match.versions,
            role=set_or_none(patch.role),
            disabled=set_or_none(patch.disabled),
        )
        return updated or refuse_change(await self.get(tenant, user_id), if_match, UserNotFound())

    async def unlock(self, username: str) -> int:
        """Lift the throttles of log-ins to an account, and return their number."""
        return await self._database.one(UNLOCK, username=username.lower())

    async def set_password(
        self, tenant: Tenant, user_id: UUID, password_hash: str, if_match: IfMatch = ANY_VERSION
    ) -> User:
        """Set a new password, and end the user's sessions."""
        updated = await self._database.one_or_none(
            SET_PASSWORD, tenant=tenant, user_id=user_id, if_match=if_match.versions, password_hash=password_hash
        )
        return updated or refuse_change(await self.get(tenant, user_id), if_match, UserNotFound())
