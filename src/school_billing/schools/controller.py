"""/schools."""

from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Tag
from litestar.params import FromPath, JSONBody

from school_billing.auth.contracts import Caller
from school_billing.auth.errors import Forbidden
from school_billing.auth.guards import ADMINS, READERS
from school_billing.platform.database.pool import Database
from school_billing.platform.idempotency import IdempotencyKeyInFlight, IdempotencyKeyReused
from school_billing.platform.rooms import Room
from school_billing.platform.web.conditional import IfMatch
from school_billing.platform.web.errors import InUse, PreconditionFailed
from school_billing.platform.web.pages import Page
from school_billing.platform.web.responses import WithETag, created, with_etag
from school_billing.schools.contracts import School, SchoolIn, SchoolPatch
from school_billing.schools.errors import CONSTRAINT_ERRORS, CurrencyInUse, InvoicePrefixInUse, SchoolNotFound
from school_billing.schools.repository import Schools


class SchoolController(Controller):
    """The routes of schools."""

    path = "/"
    tags = ("schools",)

    @post("/schools", access=ADMINS, summary="Add a school", errors=(IdempotencyKeyReused, IdempotencyKeyInFlight))
    async def create_school(
        self, data: JSONBody[SchoolIn], schools: NamedDependency[Schools], caller: NamedDependency[Caller]
    ) -> WithETag[School]:
        """Add a school. Only an administrator of all schools can do this."""
        if caller.tenant is not None:
            raise Forbidden("You are bound to one school and cannot add another.")
        school = await schools.create(data)
        return created(school, f"/schools/{school.id}")

    @get("/schools", access=READERS, summary="List schools")
    async def list_schools(
        self, page: NamedDependency[Page], schools: NamedDependency[Schools], caller: NamedDependency[Caller]
    ) -> Response[list[School]]:
        """List the schools that you can see, newest last."""
        return page.answer(await schools.list(caller.tenant, page))

    @get("/schools/{school_id:str}", access=READERS, summary="Get a school", errors=(SchoolNotFound,))
    async def get_school(
        self, school_id: FromPath[UUID], schools: NamedDependency[Schools], caller: NamedDependency[Caller]
    ) -> WithETag[School]:
        """Return one school."""
        return with_etag(await schools.get(caller.tenant, school_id))

    @patch(
        "/schools/{school_id:str}",
        access=ADMINS,
        summary="Change a school",
        errors=(SchoolNotFound, CurrencyInUse, InvoicePrefixInUse, PreconditionFailed),
    )
    async def update_school(
        self,
        school_id: FromPath[UUID],
        data: JSONBody[SchoolPatch],
        schools: NamedDependency[Schools],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> WithETag[School]:
        """Change the given fields.

        409 if the currency would change and the school has invoices, or the invoice_prefix and a number begins with it.
        """
        return with_etag(await schools.update(caller.tenant, school_id, data, if_match))

    @delete(
        "/schools/{school_id:str}",
        access=ADMINS,
        summary="Delete a school",
        errors=(SchoolNotFound, InUse, PreconditionFailed),
    )
    async def delete_school(
        self,
        school_id: FromPath[UUID],
        schools: NamedDependency[Schools],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> None:
        """Delete a school. 409 if it has students, users or API keys."""
        await schools.delete(caller.tenant, school_id, if_match)


def room(database: Database) -> Room:
    """Return what schools bring to the application."""
    tag = Tag("schools", "The tenants. Each has its own currency and time zone.")
    return Room(tag, SchoolController, constraint_errors=CONSTRAINT_ERRORS, schools=Schools(database))
