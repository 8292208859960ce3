"""/students."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.openapi.spec import Tag
from litestar.params import FromPath, JSONBody, QueryParameter

from school_billing.auth.contracts import Caller
from school_billing.auth.guards import ACCOUNTANTS, READERS
from school_billing.platform.database.pool import Database
from school_billing.platform.idempotency import IdempotencyKeyInFlight, IdempotencyKeyReused
from school_billing.platform.rooms import Room
from school_billing.platform.web.conditional import IfMatch
from school_billing.platform.web.errors import InUse, PreconditionFailed
from school_billing.platform.web.pages import Page
from school_billing.platform.web.responses import WithETag, created, with_etag
from school_billing.schools.errors import SchoolNotFound
from school_billing.schools.repository import Schools
from school_billing.students.contracts import Student, StudentFilters, StudentIn, StudentPatch
from school_billing.students.errors import CONSTRAINT_ERRORS, DuplicateExternalId, StudentNotFound
from school_billing.students.repository import Students

OfSchool = Annotated[UUID | None, QueryParameter(description="Only students of this school.")]
Search = Annotated[
    str | None,
    QueryParameter(
        min_length=1,
        max_length=255,
        description="Only students whose name or external id has words that begin so, in any order: obrien sean finds "
        "Seán O'Brien. Case, accents and apostrophes do not matter.",
    ),
]
WithExternalId = Annotated[
    str | None, QueryParameter(max_length=255, description="Only the student with this external id, in any case.")
]
WithName = Annotated[
    str | None, QueryParameter(max_length=255, description="Only students whose name contains this text, in any case.")
]
InGroup = Annotated[str | None, QueryParameter(max_length=100, description="Only students of this group.")]


async def provide_student_filters(
    q: Search = None, name: WithName = None, external_id: WithExternalId = None, group_name: InGroup = None
) -> StudentFilters:
    """Read the filters of a list of students."""
    return StudentFilters(q, name, external_id, group_name)


class StudentController(Controller):
    """The routes of students."""

    path = "/"
    tags = ("students",)
    dependencies = {"filters": Provide(provide_student_filters)}

    @post(
        "/students",
        access=ACCOUNTANTS,
        summary="Add a student",
        errors=(SchoolNotFound, DuplicateExternalId, IdempotencyKeyReused, IdempotencyKeyInFlight),
    )
    async def create_student(
        self, data: JSONBody[StudentIn], students: NamedDependency[Students], caller: NamedDependency[Caller]
    ) -> WithETag[Student]:
        """Add a student to a school. 409 if the school already has a student with this external id."""
        student = await students.create(caller.tenant, data)
        return created(student, f"/students/{student.id}")

    @get("/students", access=READERS, summary="List students")
    async def list_students(
        self,
        page: NamedDependency[Page],
        students: NamedDependency[Students],
        caller: NamedDependency[Caller],
        filters: NamedDependency[StudentFilters],
        school_id: OfSchool = None,
    ) -> Response[list[Student]]:
        """List students, newest last."""
        return page.answer(await students.list(caller.tenant, page, school_id, filters))

    @get(
        "/schools/{school_id:str}/students",
        access=READERS,
        summary="List a school's students",
        errors=(SchoolNotFound,),
    )
    async def list_students_of_school(
        self,
        school_id: FromPath[UUID],
        page: NamedDependency[Page],
        students: NamedDependency[Students],
        schools: NamedDependency[Schools],
        caller: NamedDependency[Caller],
        filters: NamedDependency[StudentFilters],
    ) -> Response[list[Student]]:
        """List a school's students, newest last."""
        listed = await students.list(caller.tenant, page, school_id, filters)
        if not listed.rows:
            await schools.get(caller.tenant, school_id)
        return page.answer(listed)

    @get("/students/{student_id:str}", access=READERS, summary="Get a student", errors=(StudentNotFound,))
    async def get_student(
        self, student_id: FromPath[UUID], students: NamedDependency[Students], caller: NamedDependency[Caller]
    ) -> WithETag[Student]:
        """Return one student."""
        return with_etag(await students.get(caller.tenant, student_id))

    @patch(
        "/students/{student_id:str}",
        access=ACCOUNTANTS,
        summary="Change a student",
        errors=(StudentNotFound, DuplicateExternalId, PreconditionFailed),
    )
    async def update_student(
        self,
        student_id: FromPath[UUID],
        data: JSONBody[StudentPatch],
        students: NamedDependency[Students],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> WithETag[Student]:
        """Change the given fields. null clears the external id."""
        return with_etag(await students.update(caller.tenant, student_id, data, if_match))

    @delete(
        "/students/{student_id:str}",
        access=ACCOUNTANTS,
        summary="Delete a student",
        errors=(StudentNotFound, InUse, PreconditionFailed),
    )
    async def delete_student(
        self,
        student_id: FromPath[UUID],
        students: NamedDependency[Students],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> None:
        """Delete a student. 409 if the student has invoices."""
        await students.delete(caller.tenant, student_id, if_match)


def room(database: Database) -> Room:
    """Return what students bring to the application."""
    tag = Tag("students", "The students of a school.")
    return Room(tag, StudentController, constraint_errors=CONSTRAINT_ERRORS, students=Students(database))
