"""The users table."""

from uuid import UUID

from school_billing.auth.contracts import Role, Tenant
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.web.conditional import ANY_VERSION, IfMatch, Versions, refuse_change
from school_billing.platform.web.json_body import set_or_none
from school_billing.platform.web.pages import ROWS, Listed, Page
from school_billing.schools.errors import SchoolNotFound
from school_billing.users.contracts import User, UserPatch
from school_billing.users.errors import UserNotFound

CREATE = Query("users/create", User, tenant=Tenant, username=str, password_hash=str, role=str, school_id=UUID | None)
FIND = Query("users/find", User, username=str)
GET = Query("users/get", User, tenant=Tenant, user_id=UUID)
LIST = Query("users/list", User, tenant=Tenant, school_id=UUID | None, **ROWS)
UPDATE = Query(
    "users/update", User, tenant=Tenant, user_id=UUID, if_match=Versions, role=str | None, disabled=bool | None
)
SET_PASSWORD = Query("users/set_password", User, tenant=Tenant, user_id=UUID, if_match=Versions, password_hash=str)


class Users:
    """Users. A user of another school than the tenant is a UserNotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, tenant: Tenant, username: str, password_hash: str, role: Role, school_id: UUID | None
    ) -> User:
        """Add a user, of the tenant's school by default. SchoolNotFound for another school."""
        created = await self._database.one_or_none(
            CREATE,
            tenant=tenant,
            username=username.lower(),
            password_hash=password_hash,
            role=role,
            school_id=school_id or tenant,
        )
        if created is None:
            raise SchoolNotFound
        return created

    async def find(self, username: str) -> User | None:
        """Return the user with this name, for commands."""
        return await self._database.one_or_none(FIND, username=username.lower())

    async def get(self, tenant: Tenant, user_id: UUID) -> User:
        """Return a user."""
        user = await self._database.one_or_none(GET, tenant=tenant, user_id=user_id)
        if user is None:
            raise UserNotFound
        return user

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

    async def set_password(
        self, tenant: Tenant, user_id: UUID, password_hash: str, if_match: IfMatch = ANY_VERSION
    ) -> User:
        """Set a new password, and end the user's sessions."""
        updated = await self._database.one_or_none(
            SET_PASSWORD, tenant=tenant, user_id=user_id, if_match=if_match.versions, password_hash=password_hash
        )
        return updated or refuse_change(await self.get(tenant, user_id), if_match, UserNotFound())
