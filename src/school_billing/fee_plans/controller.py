"""/fee-plans."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Tag
from litestar.params import FromPath, JSONBody, QueryParameter

from school_billing.auth.contracts import Caller
from school_billing.auth.guards import ACCOUNTANTS, READERS
from school_billing.fee_plans.contracts import FeePlan, FeePlanIn, FeePlanPatch
from school_billing.fee_plans.errors import CONSTRAINT_ERRORS, FeePlanChanged, FeePlanNotFound
from school_billing.fee_plans.repository import FeePlans
from school_billing.platform.database.pool import Database
from school_billing.platform.idempotency import IdempotencyKeyInFlight, IdempotencyKeyReused
from school_billing.platform.rooms import Room
from school_billing.platform.web.conditional import IfMatch
from school_billing.platform.web.errors import InUse, PreconditionFailed
from school_billing.platform.web.pages import Page
from school_billing.platform.web.responses import WithETag, created, with_etag
from school_billing.schools.errors import SchoolNotFound

OfSchool = Annotated[UUID | None, QueryParameter(description="Only fee plans of this school.")]


class FeePlanController(Controller):
    """The routes of fee plans."""

    path = "/fee-plans"
    tags = ("fee_plans",)

    @post(
        "/",
        access=ACCOUNTANTS,
        summary="Add a fee plan",
        errors=(SchoolNotFound, IdempotencyKeyReused, IdempotencyKeyInFlight),
    )
    async def create_fee_plan(
        self, data: JSONBody[FeePlanIn], fee_plans: NamedDependency[FeePlans], caller: NamedDependency[Caller]
    ) -> WithETag[FeePlan]:
        """Say what a term costs: items, and discount rules in the order in which they are applied.

        Each discount is computed from the items of its categories. It never takes more than earlier discounts left.
        """
        plan = await fee_plans.create(caller.tenant, data)
        return created(plan, f"/fee-plans/{plan.id}")

    @get("/", access=READERS, summary="List fee plans")
    async def list_fee_plans(
        self,
        page: NamedDependency[Page],
        fee_plans: NamedDependency[FeePlans],
        caller: NamedDependency[Caller],
        school_id: OfSchool = None,
    ) -> Response[list[FeePlan]]:
        """List fee plans in their newest versions, newest plan last."""
        return page.answer(await fee_plans.list(caller.tenant, page, school_id))

    @get("/{plan_id:str}", access=READERS, summary="Get a fee plan", errors=(FeePlanNotFound,))
    async def get_fee_plan(
        self, plan_id: FromPath[UUID], fee_plans: NamedDependency[FeePlans], caller: NamedDependency[Caller]
    ) -> WithETag[FeePlan]:
        """Return one fee plan in its newest version."""
        return with_etag(await fee_plans.get(caller.tenant, plan_id))

    @patch(
        "/{plan_id:str}",
        access=ACCOUNTANTS,
        summary="Change a fee plan",
        errors=(FeePlanNotFound, FeePlanChanged, PreconditionFailed),
    )
    async def update_fee_plan(
        self,
        plan_id: FromPath[UUID],
        data: JSONBody[FeePlanPatch],
        fee_plans: NamedDependency[FeePlans],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> WithETag[FeePlan]:
        """Change the name, or replace the items or the rules as a whole.

        New items or rules make a new version of the plan. What was billed with an older version stays.
        """
        return with_etag(await fee_plans.update(caller.tenant, plan_id, data, if_match))

    @delete(
        "/{plan_id:str}",
        access=ACCOUNTANTS,
        summary="Delete a fee plan",
        errors=(FeePlanNotFound, InUse, FeePlanChanged, PreconditionFailed),
    )
    async def delete_fee_plan(
        self,
        plan_id: FromPath[UUID],
        fee_plans: NamedDependency[FeePlans],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> None:
        """Delete a fee plan that no billing run used. 409 otherwise."""
        await fee_plans.delete(caller.tenant, plan_id, if_match)


def room(database: Database) -> Room:
    """Return what fee plans bring to the application."""
    tag = Tag("fee_plans", "What a term costs: items and discount rules.")
    return Room(tag, FeePlanController, constraint_errors=CONSTRAINT_ERRORS, fee_plans=FeePlans(database))
