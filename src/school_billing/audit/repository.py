"""The audit log, which the database's triggers write."""

from typing import Any
from uuid import UUID

from msgspec import Struct

from school_billing.audit.contracts import AuditedEntity, AuditEntry
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.web.pages import Page

_LISTED: dict[str, Any] = {
    "tenant": UUID | None,
    "entity": str | None,
    "after": UUID,
    "limit": int,
    "offset": int,
}

LIST = Query("audit/list", AuditEntry, **_LISTED)
LIST_OF_ENTITY = Query("audit/list_of_entity", AuditEntry, entity_id=UUID, school_id=UUID | None, **_LISTED)
LIST_OF_SCHOOL = Query("audit/list_of_school", AuditEntry, school_id=UUID, **_LISTED)


class AuditFilter(Struct, frozen=True, kw_only=True):
    """Which entries a list holds; None means any."""

    entity: AuditedEntity | None = None
    entity_id: UUID | None = None
    school_id: UUID | None = None


class AuditLog:
    """The audit trail; `tenant` is the school that the caller is bound to, None for all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, tenant: UUID | None, wanted: AuditFilter, page: Page) -> list[AuditEntry]:
        """Return a page of entries and one more, by the narrowest index."""
        common: dict[str, Any] = {
            "tenant": tenant,
            "entity": wanted.entity and wanted.entity.value,
            "after": page.after,
            "limit": page.fetch,
            "offset": page.offset,
        }
        school_id = wanted.school_id or tenant
        if wanted.entity_id is not None:
            return await self._database.all(LIST_OF_ENTITY, entity_id=wanted.entity_id, school_id=school_id, **common)
        if school_id is not None:
            return await self._database.all(LIST_OF_SCHOOL, school_id=school_id, **common)
        return await self._database.all(LIST, **common)
