"""/payers."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post, put
from litestar.di import NamedDependency, Provide
from litestar.openapi.spec import Tag
from litestar.params import FromPath, JSONBody, QueryParameter

from school_billing.auth.contracts import Caller
from school_billing.auth.guards import ACCOUNTANTS, READERS
from school_billing.payers.contracts import (
    Payer,
    PayerFilters,
    PayerIn,
    PayerPatch,
    PaymentReference,
    StudentPayer,
    StudentPayersIn,
)
from school_billing.payers.errors import CONSTRAINT_ERRORS, DuplicatePayer, PayerNotFound, StudentPayersChanged
from school_billing.payers.repository import Payers
from school_billing.platform.database.pool import Database
from school_billing.platform.idempotency import IdempotencyKeyInFlight, IdempotencyKeyReused
from school_billing.platform.rooms import Room
from school_billing.platform.web.conditional import IfMatch
from school_billing.platform.web.errors import InUse, PreconditionFailed
from school_billing.platform.web.pages import Page
from school_billing.platform.web.responses import WithETag, created, with_etag
from school_billing.schools.errors import SchoolNotFound
from school_billing.schools.repository import Schools
from school_billing.students.errors import StudentNotFound
from school_billing.students.repository import Students

OfSchool = Annotated[UUID | None, QueryParameter(description="Only payers of this school.")]
Search = Annotated[
    str | None,
    QueryParameter(
        min_length=1,
        max_length=255,
        description="Only payers whose name, email address or external id has words that begin so, in any order: "
        "simpson mar finds Marge Simpson. Case, accents and apostrophes do not matter.",
    ),
]
WithEmail = Annotated[
    str | None, QueryParameter(max_length=254, description="Only payers with this email address, in any case.")
]
WithExternalId = Annotated[
    str | None, QueryParameter(max_length=255, description="Only the payer with this external id, in any case.")
]

WithReference = Annotated[
    PaymentReference | None,
    QueryParameter(
        description="Only the payer with this payment reference. Blanks and case do not matter. 400 if a check digit "
        "is wrong, because then it was mistyped."
    ),
]


async def provide_payer_filters(
    q: Search = None, email: WithEmail = None, external_id: WithExternalId = None, reference: WithReference = None
) -> PayerFilters:
    """Read the filters of a list of payers."""
    return PayerFilters(q, email, external_id, reference)


class PayerController(Controller):
    """The routes of payers."""

    path = "/"
    tags = ("payers",)
    dependencies = {"filters": Provide(provide_payer_filters)}

    @post(
        "/payers",
        access=ACCOUNTANTS,
        summary="Add a payer",
        errors=(SchoolNotFound, DuplicatePayer, IdempotencyKeyReused, IdempotencyKeyInFlight),
    )
    async def create_payer(
        self, data: JSONBody[PayerIn], payers: NamedDependency[Payers], caller: NamedDependency[Caller]
    ) -> WithETag[Payer]:
        """Add a payer to a school. 409 if the school already has a payer with this external id."""
        payer = await payers.create(caller.tenant, data)
        return created(payer, f"/payers/{payer.id}")

    @get("/payers", access=READERS, summary="List payers")
    async def list_payers(
        self,
        page: NamedDependency[Page],
        payers: NamedDependency[Payers],
        caller: NamedDependency[Caller],
        filters: NamedDependency[PayerFilters],
        school_id: OfSchool = None,
    ) -> Response[list[Payer]]:
        """List payers, newest last."""
        return page.answer(await payers.list(caller.tenant, page, school_id, filters))

    @get("/schools/{school_id:str}/payers", access=READERS, summary="List a school's payers", errors=(SchoolNotFound,))
    async def list_payers_of_school(
        self,
        school_id: FromPath[UUID],
        page: NamedDependency[Page],
        payers: NamedDependency[Payers],
        schools: NamedDependency[Schools],
        caller: NamedDependency[Caller],
        filters: NamedDependency[PayerFilters],
    ) -> Response[list[Payer]]:
        """List a school's payers, newest last."""
        listed = await payers.list(caller.tenant, page, school_id, filters)
        if not listed.rows:
            await schools.get(caller.tenant, school_id)
        return page.answer(listed)

    @get("/payers/{payer_id:str}", access=READERS, summary="Get a payer", errors=(PayerNotFound,))
    async def get_payer(
        self, payer_id: FromPath[UUID], payers: NamedDependency[Payers], caller: NamedDependency[Caller]
    ) -> WithETag[Payer]:
        """Return one payer."""
        return with_etag(await payers.get(caller.tenant, payer_id))

    @patch(
        "/payers/{payer_id:str}",
        access=ACCOUNTANTS,
        summary="Change a payer",
        errors=(PayerNotFound, DuplicatePayer, PreconditionFailed),
    )
    async def update_payer(
        self,
        payer_id: FromPath[UUID],
        data: JSONBody[PayerPatch],
        payers: NamedDependency[Payers],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> WithETag[Payer]:
        """Change the given fields. null clears the email address, telephone number, external id or language."""
        return with_etag(await payers.update(caller.tenant, payer_id, data, if_match))

    @delete(
        "/payers/{payer_id:str}",
        access=ACCOUNTANTS,
        summary="Delete a payer",
        errors=(PayerNotFound, InUse, PreconditionFailed),
    )
    async def delete_payer(
        self,
        payer_id: FromPath[UUID],
        payers: NamedDependency[Payers],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> None:
        """Delete a payer. 409 if the payer has invoices or receipts, or pays a share for a student."""
        await payers.delete(caller.tenant, payer_id, if_match)

    @get(
        "/students/{student_id:str}/payers",
        access=READERS,
        summary="List a student's payers",
        errors=(StudentNotFound,),
    )
    async def list_payers_of_student(
        self,
        student_id: FromPath[UUID],
        payers: NamedDependency[Payers],
        students: NamedDependency[Students],
        caller: NamedDependency[Caller],
    ) -> Sequence[StudentPayer]:
        """List a student's payers by name, each with its share. A student without payers pays for himself."""
        listed = await payers.of_student(caller.tenant, student_id)
        if not listed:
            await students.get(caller.tenant, student_id)
        return listed

    @put(
        "/students/{student_id:str}/payers",
        access=ACCOUNTANTS,
        summary="Set a student's payers",
        errors=(StudentNotFound, PayerNotFound, StudentPayersChanged),
    )
    async def set_payers_of_student(
        self,
        student_id: FromPath[UUID],
        data: JSONBody[StudentPayersIn],
        payers: NamedDependency[Payers],
        students: NamedDependency[Students],
        caller: NamedDependency[Caller],
    ) -> Sequence[StudentPayer]:
        """Set all payers of a student, and the share that each pays. The shares sum to exactly 100.0000.

        Without payers the student pays for himself. Invoices keep the payer that they have.
        """
        listed = await payers.set_of_student(caller.tenant, student_id, data.payers)
        if not listed:
            await students.get(caller.tenant, student_id)
        return listed


def room(database: Database) -> Room:
    """Return what payers bring to the application."""
    tag = Tag("payers", "Those who pay for the students of a school.")
    return Room(tag, PayerController, constraint_errors=CONSTRAINT_ERRORS, payers=Payers(database))
