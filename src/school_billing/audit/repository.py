"""The audit_log table, which triggers write."""

from uuid import UUID

from school_billing.audit.contracts import AuditedEntity, AuditEntry
from school_billing.auth.contracts import Tenant
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.web.pages import Page

LIST = Query("audit/list", AuditEntry)
LIST_OF_ENTITY = Query("audit/list_of_entity", AuditEntry)
LIST_OF_SCHOOL = Query("audit/list_of_school", AuditEntry)


class AuditLog:
    """The audit trail. A tenant sees the entries of its school."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(
        self,
        tenant: Tenant,
        page: Page,
        entity: AuditedEntity | None,
        entity_id: UUID | None,
        school_id: UUID | None,
    ) -> list[AuditEntry]:
        """Return a page of entries and one more. A filter that is None does not apply."""
        filters = {"tenant": tenant, "entity": entity}
        school_id = school_id or tenant
        if entity_id is not None:
            return await self._database.all(
                LIST_OF_ENTITY, entity_id=entity_id, school_id=school_id, **filters, **page.rows
            )
        if school_id is not None:
            return await self._database.all(LIST_OF_SCHOOL, school_id=school_id, **filters, **page.rows)
        return await self._database.all(LIST, **filters, **page.rows)
