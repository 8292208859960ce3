"""The schools table."""

from uuid import UUID

from msgspec.structs import asdict

from school_billing.auth.contracts import Tenant
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.idempotency import once
from school_billing.platform.web.conditional import IfMatch, refuse_change
from school_billing.platform.web.json_body import is_given, set_or_none
from school_billing.platform.web.pages import Listed, Page
from school_billing.schools.contracts import School, SchoolIn, SchoolPatch
from school_billing.schools.errors import SchoolNotFound

CREATE = Query("schools/create", School)
GET = Query("schools/get", School)
LIST = Query("schools/list", School)
UPDATE = Query("schools/update", School)
DELETE = Query("schools/delete", School)


class Schools:
    """Schools. A tenant has one school; every other school is a SchoolNotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, school: SchoolIn) -> School:
        """Add a school."""
        async with once(self._database):
            return await self._database.one(CREATE, **asdict(school))

    async def get(self, tenant: Tenant, school_id: UUID) -> School:
        """Return a school."""
        return await self._database.one_or_raise(GET, SchoolNotFound, tenant=tenant, school_id=school_id)

    async def list(self, tenant: Tenant, page: Page) -> Listed[School]:
        """Return a page of schools."""
        return await page.read(self._database, LIST, tenant=tenant)

    async def update(self, tenant: Tenant, school_id: UUID, patch: SchoolPatch, if_match: IfMatch) -> School:
        """Change the given fields. Triggers refuse another currency or prefix that is in use."""
        updated = await self._database.one_or_none(
            UPDATE,
            tenant=tenant,
            school_id=school_id,
            if_match=if_match.versions,
            name=set_or_none(patch.name),
            currency=set_or_none(patch.currency),
            time_zone=set_or_none(patch.time_zone),
            address_given=is_given(patch.address),
            address=set_or_none(patch.address),
            payment_instructions_given=is_given(patch.payment_instructions),
            payment_instructions=set_or_none(patch.payment_instructions),
            iban_given=is_given(patch.iban),
            iban=set_or_none(patch.iban),
            invoice_prefix_given=is_given(patch.invoice_prefix),
            invoice_prefix=set_or_none(patch.invoice_prefix),
        )
        return updated or refuse_change(await self.get(tenant, school_id), if_match, SchoolNotFound())

    async def delete(self, tenant: Tenant, school_id: UUID, if_match: IfMatch) -> None:
        """Delete a school. A foreign key refuses to delete a school with students, users or API keys."""
        deleted = await self._database.one_or_none(
            DELETE, tenant=tenant, school_id=school_id, if_match=if_match.versions
        )
        if deleted is None:
            refuse_change(await self.get(tenant, school_id), if_match, SchoolNotFound())
