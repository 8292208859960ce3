"""The closings table. Its triggers compute the figures of a period, and keep everybody out of it."""

from uuid import UUID

from school_billing.auth.contracts import Tenant
from school_billing.closings.contracts import Closing, ClosingIn, ListedClosing
from school_billing.closings.errors import ClosingNotFound, ClosingReopened
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.idempotency import once
from school_billing.platform.web.json_body import whole
from school_billing.platform.web.pages import Listed, Page
from school_billing.schools.errors import SchoolNotFound

CREATE = Query("closings/create", Closing)
GET = Query("closings/get", Closing)
LIST = Query("closings/list", ListedClosing)
REOPEN = Query("closings/reopen", Closing)


class Closings:
    """Closings. A closing of another school than the tenant is a ClosingNotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, tenant: Tenant, school_id: UUID, closing: ClosingIn) -> Closing:
        """Close a period, and store its figures. Triggers refuse a day that is closed or not over."""
        async with once(self._database):
            created = await self._database.one_or_raise(
                CREATE,
                SchoolNotFound,
                tenant=tenant,
                school_id=school_id,
                through=closing.through,
                reason=closing.reason,
            )
        return whole(created)

    async def get(self, tenant: Tenant, closing_id: UUID, school_id: UUID | None = None) -> Closing:
        """Return a closing, of the school where one is given."""
        return whole(
            await self._database.one_or_raise(
                GET, ClosingNotFound, tenant=tenant, school_id=school_id, closing_id=closing_id
            )
        )

    async def list(self, tenant: Tenant, page: Page, school_id: UUID) -> Listed[ListedClosing]:
        """Return a page of the closings of a school."""
        return await page.read_whole(self._database, LIST, tenant=tenant, school_id=school_id)

    async def reopen(self, tenant: Tenant, closing_id: UUID, reason: str) -> Closing:
        """Reopen the latest closing of a school.

        Raises:
            ClosingReopened: It is reopened already.
        """
        async with once(self._database):
            reopened = await self._database.one_or_none(REOPEN, tenant=tenant, closing_id=closing_id, reason=reason)
        if reopened is None:
            await self.get(tenant, closing_id)
            raise ClosingReopened
        return whole(reopened)
