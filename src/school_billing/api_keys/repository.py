"""The api_keys table."""

from uuid import UUID

import msgspec

from school_billing.api_keys.contracts import ApiKey, ApiKeyIn, NewApiKey
from school_billing.api_keys.errors import ApiKeyNotFound
from school_billing.auth.contracts import Tenant
from school_billing.auth.secrets import API_KEY_PREFIX, hash_secret, new_secret
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.web.conditional import IfMatch, refuse_change
from school_billing.platform.web.pages import Listed, Page
from school_billing.schools.errors import SchoolNotFound

CREATE = Query("api_keys/create", ApiKey)
GET = Query("api_keys/get", ApiKey)
LIST = Query("api_keys/list", ApiKey)
REVOKE = Query("api_keys/revoke", ApiKey)

_VISIBLE_CHARACTERS = len(API_KEY_PREFIX) + 6


class ApiKeys:
    """API keys. A key of another school than the tenant is an ApiKeyNotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, tenant: Tenant, new: ApiKeyIn) -> NewApiKey:
        """Add a key, of the tenant's school by default. SchoolNotFound for another school."""
        key = new_secret(API_KEY_PREFIX)
        created = await self._database.one_or_none(
            CREATE,
            tenant=tenant,
            name=new.name,
            key_hash=hash_secret(key),
            key_prefix=key[:_VISIBLE_CHARACTERS],
            role=new.role,
            school_id=new.school_id or tenant,
        )
        if created is None:
            raise SchoolNotFound
        return NewApiKey(**msgspec.structs.asdict(created), key=key)

    async def get(self, tenant: Tenant, api_key_id: UUID) -> ApiKey:
        """Return a key."""
        return await self._database.one_or_raise(GET, ApiKeyNotFound, tenant=tenant, api_key_id=api_key_id)

    async def list(self, tenant: Tenant, school_id: UUID | None, page: Page) -> Listed[ApiKey]:
        """Return a page of keys."""
        return await page.read(self._database, LIST, tenant=tenant, school_id=school_id)

    async def revoke(self, tenant: Tenant, api_key_id: UUID, if_match: IfMatch) -> None:
        """Revoke a key for good."""
        revoked = await self._database.one_or_none(
            REVOKE, tenant=tenant, api_key_id=api_key_id, if_match=if_match.versions
        )
        if revoked is None:
            refuse_change(await self.get(tenant, api_key_id), if_match, ApiKeyNotFound())
