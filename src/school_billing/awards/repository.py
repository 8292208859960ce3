"""The awards table."""

from uuid import UUID

from msgspec.structs import asdict

from school_billing.auth.contracts import Tenant
from school_billing.awards.contracts import Award, AwardIn, AwardPatch
from school_billing.awards.errors import AwardNotFound
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.idempotency import once
from school_billing.platform.web.conditional import IfMatch, refuse_change
from school_billing.platform.web.json_body import is_given, set_or_none
from school_billing.platform.web.pages import Listed, Page
from school_billing.students.errors import StudentNotFound

CREATE = Query("awards/create", Award)
GET = Query("awards/get", Award)
LIST = Query("awards/list", Award)
UPDATE = Query("awards/update", Award)
DELETE = Query("awards/delete", Award)


class Awards:
    """Awards. An award of another school than the tenant is an AwardNotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, tenant: Tenant, award: AwardIn) -> Award:
        """Add an award. StudentNotFound if there is no such student."""
        award.require_sense()
        async with once(self._database):
            values = asdict(award) | {"description": award.description or "Award"}
            return await self._database.one_or_raise(CREATE, StudentNotFound, tenant=tenant, **values)

    async def get(self, tenant: Tenant, award_id: UUID) -> Award:
        """Return an award."""
        return await self._database.one_or_raise(GET, AwardNotFound, tenant=tenant, award_id=award_id)

    async def list(self, tenant: Tenant, page: Page, school_id: UUID | None, student_id: UUID | None) -> Listed[Award]:
        """Return a page of awards."""
        return await page.read(self._database, LIST, tenant=tenant, school_id=school_id, student_id=student_id)

    async def update(self, tenant: Tenant, award_id: UUID, patch: AwardPatch, if_match: IfMatch) -> Award:
        """Change the given fields."""
        patch.require_sense()
        updated = await self._database.one_or_none(
            UPDATE,
            tenant=tenant,
            award_id=award_id,
            if_match=if_match.versions,
            categories_given=is_given(patch.categories),
            valid_to_given=is_given(patch.valid_to),
            **{name: set_or_none(value) for name, value in asdict(patch).items()},
        )
        return updated or refuse_change(await self.get(tenant, award_id), if_match, AwardNotFound())

    async def delete(self, tenant: Tenant, award_id: UUID, if_match: IfMatch) -> None:
        """Delete an award. What was billed with it stays."""
        deleted = await self._database.one_or_none(DELETE, tenant=tenant, award_id=award_id, if_match=if_match.versions)
        if deleted is None:
            refuse_change(await self.get(tenant, award_id), if_match, AwardNotFound())
