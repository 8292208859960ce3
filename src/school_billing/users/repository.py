"""The users table."""

from uuid import UUID

from school_billing.auth.contracts import Role
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.web.conditional import ANY_VERSION, IfMatch, Versions
from school_billing.platform.web.json_body import set_or_none
from school_billing.platform.web.pages import Page
from school_billing.schools.errors import SchoolNotFound
from school_billing.users.contracts import User, UserPatch
from school_billing.users.errors import UserNotFound

CREATE = Query(
    "users/create",
    User,
    tenant=UUID | None,
    username=str,
    password_hash=str,
    role=str,
    school_id=UUID | None,
)
FIND = Query("users/find", User, username=str)
GET = Query("users/get", User, tenant=UUID | None, user_id=UUID)
LIST = Query(
    "users/list",
    User,
    tenant=UUID | None,
    school_id=UUID | None,
    after=UUID,
    limit=int,
    offset=int,
)
UPDATE = Query(
    "users/update",
    User,
    tenant=UUID | None,
    user_id=UUID,
    if_match=Versions,
    role=str | None,
    disabled=bool | None,
)
SET_PASSWORD = Query(
    "users/set_password",
    User,
    tenant=UUID | None,
    user_id=UUID,
    if_match=Versions,
    password_hash=str,
)


class Users:
    """Those who may log in; `tenant` is the school that the caller is bound to, None for all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, tenant: UUID | None, username: str, password_hash: str, role: Role, school_id: UUID | None
    ) -> User:
        """Add a user; a bound caller's is of the caller's school unless another is named.

        Raises:
            SchoolNotFound: There is no such school, or it is another's.
            ConstraintViolated: There is a user of that name already.
        """
        created = await self._database.one_or_none(
            CREATE,
            tenant=tenant,
            username=username.lower(),
            password_hash=password_hash,
            role=role.value,
            school_id=school_id or tenant,
        )
        if created is None:
            raise SchoolNotFound
        return created

    async def find(self, username: str) -> User | None:
        """Return the user of that name, or None; for commands."""
        return await self._database.one_or_none(FIND, username=username.lower())

    async def get(self, tenant: UUID | None, user_id: UUID) -> User:
        """Return a user.

        Raises:
            UserNotFound: There is none of that id, or it is another school's.
        """
        user = await self._database.one_or_none(GET, tenant=tenant, user_id=user_id)
        if user is None:
            raise UserNotFound
        return user

    async def list(self, tenant: UUID | None, school_id: UUID | None, page: Page) -> list[User]:
        """Return a page of users and one more."""
        return await self._database.all(
            LIST, tenant=tenant, school_id=school_id, after=page.after, limit=page.fetch, offset=page.offset
        )

    async def update(
        self, tenant: UUID | None, user_id: UUID, patch: UserPatch, if_match: IfMatch = ANY_VERSION
    ) -> User:
        """Change what `patch` names.

        Raises:
            UserNotFound: There is none of that id, or it is another school's.
            PreconditionFailed: It is of another version than `if_match` names.
        """
        updated = await self._database.one_or_none(
            UPDATE,
            tenant=tenant,
            user_id=user_id,
            if_match=if_match.versions,
            role=patch.role.value if isinstance(patch.role, Role) else None,
            disabled=set_or_none(patch.disabled),
        )
        if updated is None:
            if_match.require(await self.get(tenant, user_id))
            raise UserNotFound
        return updated

    async def set_password(
        self, tenant: UUID | None, user_id: UUID, password_hash: str, if_match: IfMatch = ANY_VERSION
    ) -> User:
        """Give a user a new password, and end the user's sessions.

        Raises:
            UserNotFound: There is none of that id, or it is another school's.
            PreconditionFailed: It is of another version than `if_match` names.
        """
        updated = await self._database.one_or_none(
            SET_PASSWORD,
            tenant=tenant,
            user_id=user_id,
            if_match=if_match.versions,
            password_hash=password_hash,
        )
        if updated is None:
            if_match.require(await self.get(tenant, user_id))
            raise UserNotFound
        return updated
