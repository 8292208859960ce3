"""The audit_log table, which triggers write."""

from msgspec.structs import asdict

from school_billing.audit.contracts import AuditEntry, AuditFilters
from school_billing.auth.contracts import Tenant
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.web.pages import Listed, Page

LIST = Query("audit/list", AuditEntry)


class AuditLog:
    """The audit trail. A tenant sees the entries of its school."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, tenant: Tenant, page: Page, filters: AuditFilters) -> Listed[AuditEntry]:
        """Return a page of entries."""
        return await page.read(self._database, LIST, tenant=tenant, **asdict(filters))
