"""/closings: periods that nobody changes any more."""

from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Tag
from litestar.params import FromPath, JSONBody

from school_billing.auth.contracts import Caller
from school_billing.auth.guards import ACCOUNTANTS, ADMINS, READERS
from school_billing.closings.contracts import Closing, ClosingIn, ClosingReopening, ListedClosing
from school_billing.closings.errors import (
    CONSTRAINT_ERRORS,
    AlreadyClosed,
    ClosingNotFound,
    ClosingReopened,
    FiguresDoNotTie,
    LaterClosing,
)
from school_billing.closings.repository import Closings
from school_billing.platform.database.pool import Database
from school_billing.platform.idempotency import IdempotencyKeyInFlight, IdempotencyKeyReused
from school_billing.platform.rooms import Room
from school_billing.platform.web.pages import Page
from school_billing.platform.web.responses import WithETag, created, with_etag
from school_billing.schools.errors import SchoolNotFound
from school_billing.schools.repository import Schools


class ClosingController(Controller):
    """The routes of closings."""

    path = "/"
    tags = ("closings",)

    @post(
        "/schools/{school_id:str}/closings",
        access=ACCOUNTANTS,
        summary="Close a period",
        errors=(SchoolNotFound, AlreadyClosed, FiguresDoNotTie, IdempotencyKeyReused, IdempotencyKeyInFlight),
    )
    async def create_closing(
        self,
        school_id: FromPath[UUID],
        data: JSONBody[ClosingIn],
        closings: NamedDependency[Closings],
        caller: NamedDependency[Caller],
    ) -> WithETag[Closing]:
        """Close everything that is dated on or before a day, and store the figures of the period.

        From then on nothing that is dated in it is added, changed, moved, voided or deleted: 409 `period_closed`. Money
        that came in it can still be allocated, refunded, taken back or reversed, and its payer named: that is dated in
        an open period, or changes no figure. `open_receipts` is what still pays nothing. 409 if the day is closed.
        """
        closing = await closings.create(caller.tenant, school_id, data)
        return created(closing, f"/closings/{closing.id}")

    @get(
        "/schools/{school_id:str}/closings",
        access=READERS,
        summary="List a school's closings",
        errors=(SchoolNotFound,),
    )
    async def list_closings(
        self,
        school_id: FromPath[UUID],
        page: NamedDependency[Page],
        closings: NamedDependency[Closings],
        schools: NamedDependency[Schools],
        caller: NamedDependency[Caller],
    ) -> Response[list[ListedClosing]]:
        """List the closings of a school, also those that were reopened, newest last."""
        listed = await closings.list(caller.tenant, page, school_id)
        if not listed.rows:
            await schools.get(caller.tenant, school_id)
        return page.answer(listed)

    @get(
        "/schools/{school_id:str}/closings/{closing_id:str}",
        access=READERS,
        summary="Get a closing of a school",
        errors=(ClosingNotFound,),
    )
    async def get_closing_of_school(
        self,
        school_id: FromPath[UUID],
        closing_id: FromPath[UUID],
        closings: NamedDependency[Closings],
        caller: NamedDependency[Caller],
    ) -> WithETag[Closing]:
        """Return one closing, with the figures that it stored."""
        return with_etag(await closings.get(caller.tenant, closing_id, school_id))

    @get("/closings/{closing_id:str}", access=READERS, summary="Get a closing", errors=(ClosingNotFound,))
    async def get_closing(
        self, closing_id: FromPath[UUID], closings: NamedDependency[Closings], caller: NamedDependency[Caller]
    ) -> WithETag[Closing]:
        """Return one closing, with the figures that it stored."""
        return with_etag(await closings.get(caller.tenant, closing_id))

    @post(
        "/closings/{closing_id:str}/reopen",
        access=ADMINS,
        summary="Reopen a period",
        errors=(ClosingNotFound, ClosingReopened, LaterClosing, IdempotencyKeyReused, IdempotencyKeyInFlight),
    )
    async def reopen_closing(
        self,
        closing_id: FromPath[UUID],
        data: JSONBody[ClosingReopening],
        closings: NamedDependency[Closings],
        caller: NamedDependency[Caller],
    ) -> WithETag[Closing]:
        """Reopen the latest closing of a school. It stays in the list, with the reason."""
        closing = await closings.reopen(caller.tenant, closing_id, data.reason)
        return created(closing, f"/closings/{closing.id}")


def room(database: Database) -> Room:
    """Return what closings bring to the application."""
    tag = Tag("closings", "Periods that nobody changes any more, and their figures.")
    return Room(tag, ClosingController, constraint_errors=CONSTRAINT_ERRORS, closings=Closings(database))
