"""The students table."""

from uuid import UUID

from school_billing.auth.contracts import Tenant
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.idempotency import once
from school_billing.platform.web.conditional import IfMatch, refuse_change
from school_billing.platform.web.json_body import is_given, set_or_none
from school_billing.platform.web.pages import Listed, Page
from school_billing.schools.errors import SchoolNotFound
from school_billing.students.contracts import ExternalId, GroupName, Student, StudentFilters, StudentIn, StudentPatch
from school_billing.students.errors import StudentNotFound

CREATE = Query("students/create", Student)
GET = Query("students/get", Student)
LIST = Query("students/list", Student)
UPDATE = Query("students/update", Student)
DELETE = Query("students/delete", Student)


class Students:
    """Students. A student of another school than the tenant is a StudentNotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, tenant: Tenant, student: StudentIn) -> Student:
        """Add a student. SchoolNotFound if there is no such school."""
        async with once(self._database):
            return await self._database.one_or_raise(
                CREATE,
                SchoolNotFound,
                tenant=tenant,
                school_id=student.school_id,
                full_name=student.full_name,
                external_id=student.external_id,
                group_name=student.group_name,
                left_on=student.left_on,
            )

    async def get(self, tenant: Tenant, student_id: UUID) -> Student:
        """Return a student."""
        return await self._database.one_or_raise(GET, StudentNotFound, tenant=tenant, student_id=student_id)

    async def list(
        self, tenant: Tenant, page: Page, school_id: UUID | None, filters: StudentFilters
    ) -> Listed[Student]:
        """Return a page of students."""
        return await page.read(
            self._database,
            LIST,
            tenant=tenant,
            school_id=school_id,
            q=filters.q,
            name=filters.name,
            external_id=ExternalId.sought(filters.external_id),
            group_name=GroupName.sought(filters.group_name),
        )

    async def update(self, tenant: Tenant, student_id: UUID, patch: StudentPatch, if_match: IfMatch) -> Student:
        """Change the given fields."""
        updated = await self._database.one_or_none(
            UPDATE,
            tenant=tenant,
            student_id=student_id,
            if_match=if_match.versions,
            full_name=set_or_none(patch.full_name),
            external_id_given=is_given(patch.external_id),
            external_id=set_or_none(patch.external_id),
            group_name_given=is_given(patch.group_name),
            group_name=set_or_none(patch.group_name),
            left_on_given=is_given(patch.left_on),
            left_on=set_or_none(patch.left_on),
        )
        return updated or refuse_change(await self.get(tenant, student_id), if_match, StudentNotFound())

    async def delete(self, tenant: Tenant, student_id: UUID, if_match: IfMatch) -> None:
        """Delete a student. A foreign key refuses to delete a student with invoices."""
        deleted = await self._database.one_or_none(
            DELETE, tenant=tenant, student_id=student_id, if_match=if_match.versions
        )
        if deleted is None:
            refuse_change(await self.get(tenant, student_id), if_match, StudentNotFound())
