"""/api-keys."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Tag
from litestar.params import FromPath, JSONBody, QueryParameter

from school_billing.api_keys.contracts import ApiKey, ApiKeyIn, NewApiKey
from school_billing.api_keys.errors import CONSTRAINT_ERRORS, ApiKeyNotFound, DuplicateName
from school_billing.api_keys.repository import ApiKeys
from school_billing.auth.contracts import Caller
from school_billing.auth.guards import USER_ADMINS
from school_billing.platform.database.pool import Database
from school_billing.platform.rooms import Room
from school_billing.platform.web.conditional import IfMatch
from school_billing.platform.web.errors import PreconditionFailed
from school_billing.platform.web.pages import Page
from school_billing.platform.web.responses import WithETag, created, unstored, with_etag
from school_billing.schools.errors import SchoolNotFound

OfSchool = Annotated[UUID | None, QueryParameter(description="Only keys that are bound to this school.")]


class ApiKeyController(Controller):
    """The routes of API keys."""

    path = "/"
    tags = ("api-keys",)

    @post("/api-keys", access=USER_ADMINS, summary="Add an API key", errors=(SchoolNotFound, DuplicateName))
    async def create_api_key(
        self, data: JSONBody[ApiKeyIn], api_keys: NamedDependency[ApiKeys], caller: NamedDependency[Caller]
    ) -> WithETag[NewApiKey]:
        """Add a key and return it. Store it now: no later answer shows it.

        409 if the school already uses a key with this name.
        """
        api_key = await api_keys.create(caller.tenant, data)
        return unstored(created(api_key, f"/api-keys/{api_key.id}"))

    @get("/api-keys", access=USER_ADMINS, summary="List API keys")
    async def list_api_keys(
        self,
        page: NamedDependency[Page],
        api_keys: NamedDependency[ApiKeys],
        caller: NamedDependency[Caller],
        school_id: OfSchool = None,
    ) -> Response[list[ApiKey]]:
        """List keys, newest last, with the revoked ones. An administrator of one school sees that school's keys."""
        return page.answer(await api_keys.list(caller.tenant, school_id, page))

    @get("/api-keys/{api_key_id:str}", access=USER_ADMINS, summary="Get an API key", errors=(ApiKeyNotFound,))
    async def get_api_key(
        self, api_key_id: FromPath[UUID], api_keys: NamedDependency[ApiKeys], caller: NamedDependency[Caller]
    ) -> WithETag[ApiKey]:
        """Return the description of a key, without the key itself."""
        return with_etag(await api_keys.get(caller.tenant, api_key_id))

    @delete(
        "/api-keys/{api_key_id:str}",
        access=USER_ADMINS,
        summary="Revoke an API key",
        errors=(ApiKeyNotFound, PreconditionFailed),
    )
    async def revoke_api_key(
        self,
        api_key_id: FromPath[UUID],
        api_keys: NamedDependency[ApiKeys],
        if_match: NamedDependency[IfMatch],
        caller: NamedDependency[Caller],
    ) -> None:
        """Revoke a key at once and for good. It stays in the list, because the audit trail names it."""
        await api_keys.revoke(caller.tenant, api_key_id, if_match)


def room(database: Database) -> Room:
    """Return what API keys bring to the application."""
    tag = Tag("api-keys", "Keys for programs that call the API.")
    return Room(tag, ApiKeyController, constraint_errors=CONSTRAINT_ERRORS, api_keys=ApiKeys(database))
