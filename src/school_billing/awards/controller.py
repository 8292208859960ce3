"""/awards."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Tag
from litestar.params import FromPath, JSONBody, QueryParameter

from school_billing.auth.contracts import Caller
from school_billing.auth.guards import ACCOUNTANTS, READERS
from school_billing.awards.contracts import Award, AwardIn, AwardPatch
from school_billing.awards.errors import CONSTRAINT_ERRORS, AwardNotFound
from school_billing.awards.repository import Awards
from school_billing.platform.database.pool import Database
from school_billing.platform.idempotency import IdempotencyKeyInFlight, IdempotencyKeyReused
from school_billing.platform.rooms import Room
from school_billing.platform.web.conditional import IfMatch
from school_billing.platform.web.errors import PreconditionFailed
from school_billing.platform.web.pages import Page
from school_billing.platform.web.responses import WithETag, created, with_etag
from school_billing.students.errors import StudentNotFound

OfSchool = Annotated[UUID | None, QueryParameter(description="Only awards of this school.")]
OfStudent = Annotated[UUID | None, QueryParameter(description="Only awards of this student.")]


class AwardController(Controller):
    """The routes of awards."""

    path = "/awards"
    tags = ("awards",)

    @post(
        "/",
        access=ACCOUNTANTS,
        summary="Add an award",
        errors=(StudentNotFound, IdempotencyKeyReused, IdempotencyKeyInFlight),
    )
    async def create_award(
        self, data: JSONBody[AwardIn], awards: NamedDependency[Awards], caller: NamedDependency[Caller]
    ) -> WithETag[Award]:
        """Give a student a scholarship or a concession, which each billing run takes off while it is valid."""
        award = await awards.create(caller.tenant, data)
        return created(award, f"/awards/{award.id}")

    @get("/", access=READERS, summary="List awards")
    async def list_awards(
        self,
        page: NamedDependency[Page],
        awards: NamedDependency[Awards],
        caller: NamedDependency[Caller],
        school_id: OfSchool = None,
        student_id: OfStudent = None,
    ) -> Response[list[Award]]:
        """List awards, newest last."""
        return page.answer(await awards.list(caller.tenant, page, school_id, student_id))

    @get("/{award_id:str}", access=READERS, summary="Get an award", errors=(AwardNotFound,))
    async def get_award(
        self, award_id: FromPath[UUID], awards: NamedDependency[Awards], caller: NamedDependency[Caller]
    ) -> WithETag[Award]:
        """Return one award."""
        return with_etag(await awards.get(caller.tenant, award_id))

    @patch(
        "/{award_id:str}",
        access=ACCOUNTANTS,
        summary="Change an award",
        errors=(AwardNotFound, PreconditionFailed),
    )
    async def update_award(
        self,
        award_id: FromPath[UUID],
        data: JSONBody[AwardPatch],
        awards: NamedDependency[Awards],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> WithETag[Award]:
        """Change the given fields. null clears the categories or the end. What was billed with the award stays."""
        return with_etag(await awards.update(caller.tenant, award_id, data, if_match))

    @delete(
        "/{award_id:str}",
        access=ACCOUNTANTS,
        summary="Delete an award",
        errors=(AwardNotFound, PreconditionFailed),
    )
    async def delete_award(
        self,
        award_id: FromPath[UUID],
        awards: NamedDependency[Awards],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> None:
        """Delete an award. What was billed with it stays, and the audit trail keeps the award."""
        await awards.delete(caller.tenant, award_id, if_match)


def room(database: Database) -> Room:
    """Return what awards bring to the application."""
    tag = Tag("awards", "Scholarships and concessions of students.")
    return Room(tag, AwardController, constraint_errors=CONSTRAINT_ERRORS, awards=Awards(database))
