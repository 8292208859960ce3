"""The schools table."""

from uuid import UUID

from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.idempotency import once
from school_billing.platform.web.conditional import IfMatch, Versions
from school_billing.platform.web.json_body import set_or_none
from school_billing.platform.web.pages import Page
from school_billing.schools.contracts import School, SchoolIn, SchoolPatch
from school_billing.schools.errors import CurrencyInUse, SchoolNotFound

CREATE = Query("schools/create", School, name=str, currency=str, time_zone=str)
GET = Query("schools/get", School, tenant=UUID | None, school_id=UUID)
LIST = Query("schools/list", School, tenant=UUID | None, after=UUID, limit=int, offset=int)
UPDATE = Query(
    "schools/update",
    School,
    tenant=UUID | None,
    school_id=UUID,
    if_match=Versions,
    name=str | None,
    currency=str | None,
    time_zone=str | None,
)
DELETE = Query("schools/delete", School, tenant=UUID | None, school_id=UUID, if_match=Versions)


class Schools:
    """Schools; `tenant` is the school that the caller is bound to, None for all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, school: SchoolIn) -> School:
        """Add a school."""
        async with once(self._database):
            return await self._database.one(
                CREATE, name=school.name, currency=school.currency, time_zone=school.time_zone
            )

    async def get(self, tenant: UUID | None, school_id: UUID) -> School:
        """Return a school.

        Raises:
            SchoolNotFound: There is none of that id, or it is another's.
        """
        school = await self._database.one_or_none(GET, tenant=tenant, school_id=school_id)
        if school is None:
            raise SchoolNotFound
        return school

    async def list(self, tenant: UUID | None, page: Page) -> list[School]:
        """Return a page of schools and one more."""
        return await self._database.all(LIST, tenant=tenant, after=page.after, limit=page.fetch, offset=page.offset)

    async def update(self, tenant: UUID | None, school_id: UUID, patch: SchoolPatch, if_match: IfMatch) -> School:
        """Change what `patch` names.

        Raises:
            SchoolNotFound: There is none of that id, or it is another's.
            PreconditionFailed: It is of another version than `if_match` names.
            CurrencyInUse: The currency would change under the school's invoices.
        """
        updated = await self._database.one_or_none(
            UPDATE,
            tenant=tenant,
            school_id=school_id,
            if_match=if_match.versions,
            name=set_or_none(patch.name),
            currency=set_or_none(patch.currency),
            time_zone=set_or_none(patch.time_zone),
        )
        if updated is None:
            if_match.require(await self.get(tenant, school_id))
            raise CurrencyInUse
        return updated

    async def delete(self, tenant: UUID | None, school_id: UUID, if_match: IfMatch) -> None:
        """Delete a school that nothing depends on.

        Raises:
            SchoolNotFound: There is none of that id, or it is another's.
            PreconditionFailed: It is of another version than `if_match` names.
        """
        deleted = await self._database.one_or_none(
            DELETE, tenant=tenant, school_id=school_id, if_match=if_match.versions
        )
        if deleted is None:
            if_match.require(await self.get(tenant, school_id))
            raise SchoolNotFound
