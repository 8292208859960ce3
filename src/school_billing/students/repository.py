"""The students table."""

from uuid import UUID

from msgspec import Struct

from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.idempotency import once
from school_billing.platform.web.conditional import IfMatch, Versions
from school_billing.platform.web.json_body import is_given, set_or_none
from school_billing.platform.web.pages import Page
from school_billing.schools.errors import SchoolNotFound
from school_billing.students.contracts import Student, StudentIn, StudentPatch
from school_billing.students.errors import StudentNotFound

CREATE = Query(
    "students/create",
    Student,
    tenant=UUID | None,
    school_id=UUID,
    full_name=str,
    external_id=str | None,
)
GET = Query("students/get", Student, tenant=UUID | None, student_id=UUID)
LIST = Query(
    "students/list",
    Student,
    tenant=UUID | None,
    external_id=str | None,
    name=str | None,
    after=UUID,
    limit=int,
    offset=int,
)
LIST_OF_SCHOOL = Query("students/list_of_school", Student, school_id=UUID, **LIST.takes)
UPDATE = Query(
    "students/update",
    Student,
    tenant=UUID | None,
    student_id=UUID,
    if_match=Versions,
    full_name=str | None,
    external_id_given=bool,
    external_id=str | None,
)
DELETE = Query("students/delete", Student, tenant=UUID | None, student_id=UUID, if_match=Versions)


class StudentFilter(Struct, frozen=True, kw_only=True):
    """Which students a list holds; None means any."""

    school_id: UUID | None = None
    external_id: str | None = None
    name: str | None = None
    """A part of the name, whatever its case."""


class Students:
    """Students; `tenant` is the school that the caller is bound to, None for all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, tenant: UUID | None, student: StudentIn) -> Student:
        """Add a student to a school.

        Raises:
            SchoolNotFound: There is no such school, or it is another's.
        """
        async with once(self._database):
            created = await self._database.one_or_none(
                CREATE,
                tenant=tenant,
                school_id=student.school_id,
                full_name=student.full_name,
                external_id=student.external_id,
            )
        if created is None:
            raise SchoolNotFound
        return created

    async def get(self, tenant: UUID | None, student_id: UUID) -> Student:
        """Return a student.

        Raises:
            StudentNotFound: There is none of that id, or it is another school's.
        """
        student = await self._database.one_or_none(GET, tenant=tenant, student_id=student_id)
        if student is None:
            raise StudentNotFound
        return student

    async def list(self, tenant: UUID | None, wanted: StudentFilter, page: Page) -> list[Student]:
        """Return a page of students and one more."""
        common = {
            "tenant": tenant,
            "external_id": wanted.external_id,
            "name": wanted.name,
            "after": page.after,
            "limit": page.fetch,
            "offset": page.offset,
        }
        school_id = wanted.school_id or tenant
        if school_id is None:
            return await self._database.all(LIST, **common)
        return await self._database.all(LIST_OF_SCHOOL, school_id=school_id, **common)

    async def update(self, tenant: UUID | None, student_id: UUID, patch: StudentPatch, if_match: IfMatch) -> Student:
        """Change what `patch` names.

        Raises:
            StudentNotFound: There is none of that id, or it is another school's.
            PreconditionFailed: It is of another version than `if_match` names.
        """
        updated = await self._database.one_or_none(
            UPDATE,
            tenant=tenant,
            student_id=student_id,
            if_match=if_match.versions,
            full_name=set_or_none(patch.full_name),
            external_id_given=is_given(patch.external_id),
            external_id=set_or_none(patch.external_id),
        )
        if updated is None:
            if_match.require(await self.get(tenant, student_id))
            raise StudentNotFound
        return updated

    async def delete(self, tenant: UUID | None, student_id: UUID, if_match: IfMatch) -> None:
        """Delete a student without invoices.

        Raises:
            StudentNotFound: There is none of that id, or it is another school's.
            PreconditionFailed: It is of another version than `if_match` names.
        """
        deleted = await self._database.one_or_none(
            DELETE, tenant=tenant, student_id=student_id, if_match=if_match.versions
        )
        if deleted is None:
            if_match.require(await self.get(tenant, student_id))
            raise StudentNotFound
