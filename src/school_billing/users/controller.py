"""/users."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, get, patch, post, put
from litestar.di import NamedDependency
from litestar.openapi.spec import Tag
from litestar.params import FromPath, JSONBody, QueryParameter

from school_billing.auth.contracts import Caller
from school_billing.auth.guards import USER_ADMINS
from school_billing.auth.hashing import hash_new_password
from school_billing.platform.database.pool import Database
from school_billing.platform.password_rules import password_problem
from school_billing.platform.rooms import Room
from school_billing.platform.web.conditional import IfMatch
from school_billing.platform.web.errors import FieldError, InvalidBody, PreconditionFailed
from school_billing.platform.web.pages import Page
from school_billing.platform.web.responses import WithETag, created, with_etag
from school_billing.schools.errors import SchoolNotFound
from school_billing.users.contracts import PasswordIn, User, UserIn, UserPatch
from school_billing.users.errors import (
    CONSTRAINT_ERRORS,
    DuplicateUsername,
    LastAdministrator,
    OwnAccount,
    UserNotFound,
)
from school_billing.users.repository import Users

OfSchool = Annotated[UUID | None, QueryParameter(description="Only users who are bound to this school.")]


class UserController(Controller):
    """The routes of users. There is no DELETE, because the audit trail names users: they are disabled instead."""

    path = "/"
    tags = ("users",)

    @post("/users", access=USER_ADMINS, summary="Add a user", errors=(SchoolNotFound, DuplicateUsername))
    async def create_user(
        self, data: JSONBody[UserIn], users: NamedDependency[Users], caller: NamedDependency[Caller]
    ) -> WithETag[User]:
        """Add a user. 409 if the username is taken, also in another school: usernames are unique everywhere."""
        _check_password(data.username, data.password, "password")
        password_hash = await hash_new_password(data.password)
        user = await users.create(caller.tenant, data.username, password_hash, data.role, data.school_id)
        return created(user, f"/users/{user.id}")

    @get("/users", access=USER_ADMINS, summary="List users")
    async def list_users(
        self,
        page: NamedDependency[Page],
        users: NamedDependency[Users],
        caller: NamedDependency[Caller],
        school_id: OfSchool = None,
    ) -> Response[list[User]]:
        """List users, newest last. An administrator of one school sees the users of that school."""
        return page.answer(await users.list(caller.tenant, school_id, page))

    @get("/users/{user_id:str}", access=USER_ADMINS, summary="Get a user", errors=(UserNotFound,))
    async def get_user(
        self, user_id: FromPath[UUID], users: NamedDependency[Users], caller: NamedDependency[Caller]
    ) -> WithETag[User]:
        """Return one user."""
        return with_etag(await users.get(caller.tenant, user_id))

    @patch(
        "/users/{user_id:str}",
        access=USER_ADMINS,
        summary="Change or disable a user",
        errors=(UserNotFound, OwnAccount, LastAdministrator, PreconditionFailed),
    )
    async def update_user(
        self,
        user_id: FromPath[UUID],
        data: JSONBody[UserPatch],
        users: NamedDependency[Users],
        if_match: NamedDependency[IfMatch],
        caller: NamedDependency[Caller],
    ) -> WithETag[User]:
        """Change a user's role, or disable or enable the user. The change takes effect with the user's next request."""
        if user_id == caller.user_id:
            raise OwnAccount
        return with_etag(await users.update(caller.tenant, user_id, data, if_match))

    @put(
        "/users/{user_id:str}/password",
        status_code=200,
        access=USER_ADMINS,
        summary="Set a user's password",
        errors=(UserNotFound, OwnAccount, PreconditionFailed),
    )
    async def set_user_password(
        self,
        user_id: FromPath[UUID],
        data: JSONBody[PasswordIn],
        users: NamedDependency[Users],
        if_match: NamedDependency[IfMatch],
        caller: NamedDependency[Caller],
    ) -> WithETag[User]:
        """Set a new password for a user, and end all sessions of the user."""
        if user_id == caller.user_id:
            raise OwnAccount
        user = await users.get(caller.tenant, user_id)
        _check_password(user.username, data.new_password, "new_password")
        password_hash = await hash_new_password(data.new_password)
        return with_etag(await users.set_password(caller.tenant, user_id, password_hash, if_match))


def _check_password(username: str, password: str, field: str) -> None:
    if message := password_problem(username, password):
        raise InvalidBody(errors=[FieldError(field, message)])


def room(database: Database) -> Room:
    """Return what users bring to the application."""
    return Room(
        Tag("users", "People who can log in."),
        UserController,
        constraint_errors=CONSTRAINT_ERRORS,
        users=Users(database),
    )
