"""The api_keys table."""

from uuid import UUID

import msgspec

from school_billing.api_keys.contracts import ApiKey, ApiKeyIn, NewApiKey
from school_billing.api_keys.errors import ApiKeyNotFound
from school_billing.auth.secrets import API_KEY_PREFIX, hash_secret, new_secret
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.web.conditional import IfMatch, Versions
from school_billing.platform.web.pages import Page
from school_billing.schools.errors import SchoolNotFound

CREATE = Query(
    "api_keys/create",
    ApiKey,
    tenant=UUID | None,
    name=str,
    key_hash=bytes,
    key_prefix=str,
    role=str,
    school_id=UUID | None,
)
GET = Query("api_keys/get", ApiKey, tenant=UUID | None, api_key_id=UUID)
LIST = Query(
    "api_keys/list",
    ApiKey,
    tenant=UUID | None,
    school_id=UUID | None,
    after=UUID,
    limit=int,
    offset=int,
)
REVOKE = Query("api_keys/revoke", ApiKey, tenant=UUID | None, api_key_id=UUID, if_match=Versions)

_SHOWN_CHARACTERS = len(API_KEY_PREFIX) + 6


class ApiKeys:
    """Keys for machines; `tenant` is the school that the caller is bound to, None for all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, tenant: UUID | None, wanted: ApiKeyIn) -> NewApiKey:
        """Make a key; a bound caller's is of the caller's school unless another is named.

        Raises:
            SchoolNotFound: There is no such school, or it is another's.
        """
        key = new_secret(API_KEY_PREFIX)
        made = await self._database.one_or_none(
            CREATE,
            tenant=tenant,
            name=wanted.name,
            key_hash=hash_secret(key),
            key_prefix=key[:_SHOWN_CHARACTERS],
            role=wanted.role.value,
            school_id=wanted.school_id or tenant,
        )
        if made is None:
            raise SchoolNotFound
        return NewApiKey(**msgspec.structs.asdict(made), key=key)

    async def get(self, tenant: UUID | None, api_key_id: UUID) -> ApiKey:
        """Return a key.

        Raises:
            ApiKeyNotFound: There is none of that id, or it is another school's.
        """
        found = await self._database.one_or_none(GET, tenant=tenant, api_key_id=api_key_id)
        if found is None:
            raise ApiKeyNotFound
        return found

    async def list(self, tenant: UUID | None, school_id: UUID | None, page: Page) -> list[ApiKey]:
        """Return a page of keys and one more."""
        return await self._database.all(
            LIST, tenant=tenant, school_id=school_id, after=page.after, limit=page.fetch, offset=page.offset
        )

    async def revoke(self, tenant: UUID | None, api_key_id: UUID, if_match: IfMatch) -> None:
        """Let a key open nothing from now on.

        Raises:
            ApiKeyNotFound: There is none of that id, or it is another school's.
            PreconditionFailed: It is of another version than `if_match` names.
        """
        revoked = await self._database.one_or_none(
            REVOKE, tenant=tenant, api_key_id=api_key_id, if_match=if_match.versions
        )
        if revoked is None:
            if_match.require(await self.get(tenant, api_key_id))
            raise ApiKeyNotFound
