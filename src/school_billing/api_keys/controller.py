"""/api-keys."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from school_billing.api_keys.contracts import ApiKey, ApiKeyIn, NewApiKey
from school_billing.api_keys.repository import ApiKeys
from school_billing.auth.contracts import Caller
from school_billing.auth.guards import USER_ADMINS
from school_billing.platform.web.conditional import IfMatch
from school_billing.platform.web.pages import Page
from school_billing.platform.web.responses import WithETag, created, unstored, with_etag

OfSchool = Annotated[UUID | None, QueryParameter(description="Only those that are bound to this school.")]


class ApiKeyController(Controller):
    """Keys for machines that call the API, with a role and perhaps a school as a user has."""

    path = "/"
    tags = ("api-keys",)

    @post("/api-keys", access=USER_ADMINS, takes_idempotency_key=False, summary="Make an API key")
    async def create_api_key(
        self,
        data: JSONBody[ApiKeyIn],
        api_keys: NamedDependency[ApiKeys],
        caller: NamedDependency[Caller],
    ) -> WithETag[NewApiKey]:
        """Make a key, and show it: this is the only time. 409 where a key in use has that name in the school."""
        made = await api_keys.create(caller.tenant, data)
        return unstored(created(made, f"/api-keys/{made.id}"))

    @get("/api-keys", access=USER_ADMINS, summary="List API keys")
    async def list_api_keys(
        self,
        page: NamedDependency[Page],
        api_keys: NamedDependency[ApiKeys],
        caller: NamedDependency[Caller],
        school_id: OfSchool = None,
    ) -> Response[list[ApiKey]]:
        """List keys, newest last, the revoked ones too. An administrator of one school sees those of that school."""
        return page.answer(await api_keys.list(caller.tenant, school_id, page))

    @get("/api-keys/{api_key_id:str}", access=USER_ADMINS, summary="Get an API key")
    async def get_api_key(
        self,
        api_key_id: FromPath[UUID],
        api_keys: NamedDependency[ApiKeys],
        caller: NamedDependency[Caller],
    ) -> WithETag[ApiKey]:
        """Return what is known of a key; not the key itself."""
        return with_etag(await api_keys.get(caller.tenant, api_key_id))

    @delete("/api-keys/{api_key_id:str}", access=USER_ADMINS, summary="Revoke an API key")
    async def revoke_api_key(
        self,
        api_key_id: FromPath[UUID],
        api_keys: NamedDependency[ApiKeys],
        if_match: NamedDependency[IfMatch],
        caller: NamedDependency[Caller],
    ) -> None:
        """Let a key open nothing from now on; it stays in the list, for the audit trail names it."""
        await api_keys.revoke(caller.tenant, api_key_id, if_match)
