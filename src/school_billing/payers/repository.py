"""The payers and student_payers tables."""

from collections.abc import Sequence
from uuid import UUID

from school_billing.auth.contracts import Tenant
from school_billing.payers.contracts import (
    Email,
    Payer,
    PayerExternalId,
    PayerFilters,
    PayerIn,
    PayerPatch,
    StudentPayer,
    StudentPayerIn,
)
from school_billing.payers.errors import PayerNotFound, refuse_shares
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.idempotency import once
from school_billing.platform.web.conditional import IfMatch, refuse_change
from school_billing.platform.web.json_body import is_given, set_or_none
from school_billing.platform.web.pages import Listed, Page
from school_billing.schools.errors import SchoolNotFound

CREATE = Query("payers/create", Payer)
GET = Query("payers/get", Payer)
LIST = Query("payers/list", Payer)
UPDATE = Query("payers/update", Payer)
DELETE = Query("payers/delete", Payer)
OF_STUDENT = Query("payers/of_student", StudentPayer)
# The statement leaves the payers of a parallel one for which it waited, because it did not see them.
SET_OF_STUDENT = Query("payers/set_of_student", StudentPayer, again_on={"student_payers_sum_to_100"})


class Payers:
    """Payers, and the payers of each student. A payer of another school than the tenant is a PayerNotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, tenant: Tenant, payer: PayerIn) -> Payer:
        """Add a payer. SchoolNotFound if there is no such school."""
        async with once(self._database):
            return await self._database.one_or_raise(
                CREATE,
                SchoolNotFound,
                tenant=tenant,
                school_id=payer.school_id,
                kind=payer.kind,
                name=payer.name,
                email=payer.email,
                phone=payer.phone,
                external_id=payer.external_id,
                language=payer.language,
            )

    async def get(self, tenant: Tenant, payer_id: UUID) -> Payer:
        """Return a payer."""
        return await self._database.one_or_raise(GET, PayerNotFound, tenant=tenant, payer_id=payer_id)

    async def list(self, tenant: Tenant, page: Page, school_id: UUID | None, filters: PayerFilters) -> Listed[Payer]:
        """Return a page of payers."""
        return await page.read(
            self._database,
            LIST,
            tenant=tenant,
            school_id=school_id,
            q=filters.q,
            email=Email.sought(filters.email),
            external_id=PayerExternalId.sought(filters.external_id),
            reference=filters.reference,
        )

    async def update(self, tenant: Tenant, payer_id: UUID, patch: PayerPatch, if_match: IfMatch) -> Payer:
        """Change the given fields."""
        updated = await self._database.one_or_none(
            UPDATE,
            tenant=tenant,
            payer_id=payer_id,
            if_match=if_match.versions,
            kind=set_or_none(patch.kind),
            name=set_or_none(patch.name),
            email_given=is_given(patch.email),
            email=set_or_none(patch.email),
            phone_given=is_given(patch.phone),
            phone=set_or_none(patch.phone),
            external_id_given=is_given(patch.external_id),
            external_id=set_or_none(patch.external_id),
            language_given=is_given(patch.language),
            language=set_or_none(patch.language),
        )
        return updated or refuse_change(await self.get(tenant, payer_id), if_match, PayerNotFound())

    async def delete(self, tenant: Tenant, payer_id: UUID, if_match: IfMatch) -> None:
        """Delete a payer. Foreign keys refuse to delete a payer with invoices, receipts or shares."""
        deleted = await self._database.one_or_none(DELETE, tenant=tenant, payer_id=payer_id, if_match=if_match.versions)
        if deleted is None:
            refuse_change(await self.get(tenant, payer_id), if_match, PayerNotFound())

    async def of_student(self, tenant: Tenant, student_id: UUID) -> Sequence[StudentPayer]:
        """Return the payers of a student; none if there is no such student."""
        return await self._database.all(OF_STUDENT, tenant=tenant, student_id=student_id)

    async def set_of_student(
        self, tenant: Tenant, student_id: UUID, payers: Sequence[StudentPayerIn]
    ) -> Sequence[StudentPayer]:
        """Set all payers of a student, and return them; none if there is no such student.

        Raises:
            InvalidBody: The shares do not sum to 100, or a payer is named twice.
            PayerNotFound: There is no such payer in the student's school.
        """
        refuse_shares(payers)
        values = {
            "student_id": student_id,
            "payer_ids": [payer.payer_id for payer in payers],
            "shares": [payer.share for payer in payers],
        }
        return await self._database.all(SET_OF_STUDENT, tenant=tenant, **values)
