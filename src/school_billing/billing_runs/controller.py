"""/billing-runs: a preview of what a plan costs each student, and the invoices that its commit makes."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Tag
from litestar.params import FromPath, JSONBody, QueryParameter

from school_billing.auth.contracts import Caller
from school_billing.auth.guards import ACCOUNTANTS, READERS
from school_billing.billing_runs.contracts import (
    BillingRun,
    BillingRunIn,
    LateFeeRunIn,
    RevertedRun,
    RunCommit,
    RunKind,
    RunRevert,
    RunRow,
    Verdict,
)
from school_billing.billing_runs.errors import (
    CONSTRAINT_ERRORS,
    AlreadyBilled,
    BillingRunAbandoned,
    BillingRunCommitted,
    BillingRunNotCommitted,
    BillingRunNotFound,
    StudentsChanged,
)
from school_billing.billing_runs.repository import BillingRuns
from school_billing.fee_plans.errors import FeePlanNotFound
from school_billing.platform.database.pool import Database
from school_billing.platform.idempotency import IdempotencyKeyInFlight, IdempotencyKeyReused
from school_billing.platform.rooms import Room
from school_billing.platform.web.conditional import IfMatch
from school_billing.platform.web.errors import PreconditionFailed
from school_billing.platform.web.pages import Page
from school_billing.platform.web.responses import WithETag, created, with_etag
from school_billing.schools.errors import PeriodClosed, SchoolNotFound

OfSchool = Annotated[UUID | None, QueryParameter(description="Only runs of this school.")]
OfPlan = Annotated[UUID | None, QueryParameter(description="Only runs of this fee plan.")]
OfKind = Annotated[RunKind | None, QueryParameter(description="Only runs of this kind.")]
OfPeriod = Annotated[str | None, QueryParameter(max_length=50, description="Only runs of this period.")]
WithVerdict = Annotated[Verdict | None, QueryParameter(description="Only students with this verdict.")]


class BillingRunController(Controller):
    """The routes of billing runs."""

    path = "/"
    tags = ("billing_runs",)

    @post(
        "/schools/{school_id:str}/billing-runs",
        access=ACCOUNTANTS,
        summary="Preview a billing run",
        errors=(SchoolNotFound, FeePlanNotFound, IdempotencyKeyReused, IdempotencyKeyInFlight),
    )
    async def create_billing_run(
        self,
        school_id: FromPath[UUID],
        data: JSONBody[BillingRunIn],
        billing_runs: NamedDependency[BillingRuns],
        caller: NamedDependency[Caller],
    ) -> WithETag[BillingRun]:
        """Say what a plan costs each student, and which invoices a commit would make. Nothing is billed yet.

        Every student of the school, or of the group, has a row, with a verdict and the reason for it. What a student is
        billed is split by the shares of the payers, and then into instalments: one invoice for each payer and due
        date, exact to the cent.
        """
        run = await billing_runs.create(caller.tenant, school_id, data)
        return created(run, f"/billing-runs/{run.id}")

    @post(
        "/schools/{school_id:str}/late-fee-runs",
        access=ACCOUNTANTS,
        summary="Preview a run of late fees",
        errors=(SchoolNotFound, FeePlanNotFound, IdempotencyKeyReused, IdempotencyKeyInFlight),
    )
    async def create_late_fee_run(
        self,
        school_id: FromPath[UUID],
        data: JSONBody[LateFeeRunIn],
        billing_runs: NamedDependency[BillingRuns],
        caller: NamedDependency[Caller],
    ) -> WithETag[BillingRun]:
        """Say which late fees of a plan are due on its overdue invoices. Nothing is billed yet.

        It is a billing run of the kind LATE_FEES, and is committed, abandoned and reverted as any other. Every student
        of the school, or of the group, who has an overdue invoice of the plan has a row. What a payer has paid in
        advance counts first. Each fee is charged once, on an invoice of its own to the payer of the late one.
        """
        run = await billing_runs.create(caller.tenant, school_id, data)
        return created(run, f"/billing-runs/{run.id}")

    @get("/billing-runs", access=READERS, summary="List billing runs")
    async def list_billing_runs(
        self,
        page: NamedDependency[Page],
        billing_runs: NamedDependency[BillingRuns],
        caller: NamedDependency[Caller],
        school_id: OfSchool = None,
        plan_id: OfPlan = None,
        kind: OfKind = None,
        period: OfPeriod = None,
    ) -> Response[list[BillingRun]]:
        """List billing runs, newest last."""
        return page.answer(await billing_runs.list(caller.tenant, page, school_id, plan_id, kind, period))

    @get(
        "/billing-runs/{billing_run_id:str}",
        access=READERS,
        summary="Get a billing run",
        errors=(BillingRunNotFound,),
    )
    async def get_billing_run(
        self,
        billing_run_id: FromPath[UUID],
        billing_runs: NamedDependency[BillingRuns],
        caller: NamedDependency[Caller],
    ) -> WithETag[BillingRun]:
        """Return one billing run, with the number of students by verdict and the totals by category."""
        return with_etag(await billing_runs.get(caller.tenant, billing_run_id))

    @get(
        "/billing-runs/{billing_run_id:str}/rows",
        access=READERS,
        summary="List the students of a billing run",
        errors=(BillingRunNotFound,),
    )
    async def list_rows_of_billing_run(
        self,
        billing_run_id: FromPath[UUID],
        page: NamedDependency[Page],
        billing_runs: NamedDependency[BillingRuns],
        caller: NamedDependency[Caller],
        verdict: WithVerdict = None,
    ) -> Response[list[RunRow]]:
        """List what the run does with each student, with the lines and the invoices. An abandoned run has no rows."""
        return page.answer(await billing_runs.rows(caller.tenant, page, billing_run_id, verdict))

    @post(
        "/billing-runs/{billing_run_id:str}/commit",
        status_code=200,
        access=ACCOUNTANTS,
        summary="Commit a billing run",
        errors=(
            BillingRunNotFound,
            BillingRunAbandoned,
            AlreadyBilled,
            StudentsChanged,
            PeriodClosed,
            PreconditionFailed,
        ),
    )
    async def commit_billing_run(
        self,
        billing_run_id: FromPath[UUID],
        data: JSONBody[RunCommit],
        billing_runs: NamedDependency[BillingRuns],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> WithETag[BillingRun]:
        """Make exactly the invoices of the preview, all at once.

        Each student is computed again. If the plan, an award, a payer, a share, a sibling, the enrolment or, for late
        fees, a payment changed the result, the student is `changed` and not billed. With all_or_nothing, the answer is
        then a 412 and bills nobody.

        A run is committed once. Send the request again after a broken connection: the answer is the same, and nobody is
        billed twice.
        """
        run = await billing_runs.commit(caller.tenant, billing_run_id, if_match, all_or_nothing=data.all_or_nothing)
        return with_etag(run)

    @post(
        "/billing-runs/{billing_run_id:str}/abandon",
        status_code=200,
        access=ACCOUNTANTS,
        summary="Abandon a billing run",
        errors=(BillingRunNotFound, BillingRunCommitted, PreconditionFailed),
    )
    async def abandon_billing_run(
        self,
        billing_run_id: FromPath[UUID],
        billing_runs: NamedDependency[BillingRuns],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> WithETag[BillingRun]:
        """Give a preview up. Its rows are deleted. 409 if the run is committed."""
        return with_etag(await billing_runs.abandon(caller.tenant, billing_run_id, if_match))

    @post(
        "/billing-runs/{billing_run_id:str}/revert",
        status_code=200,
        access=ACCOUNTANTS,
        summary="Revert a billing run",
        errors=(BillingRunNotFound, BillingRunNotCommitted, PeriodClosed, PreconditionFailed),
    )
    async def revert_billing_run(
        self,
        billing_run_id: FromPath[UUID],
        data: JSONBody[RunRevert],
        billing_runs: NamedDependency[BillingRuns],
        caller: NamedDependency[Caller],
        if_match: NamedDependency[IfMatch],
    ) -> WithETag[RevertedRun]:
        """Void the invoices of a committed run on which nothing happened, and list the others, which stay.

        Then the students without an invoice of the run can be billed again for the period.
        """
        return with_etag(await billing_runs.revert(caller.tenant, billing_run_id, if_match, data.reason))


def room(database: Database) -> Room:
    """Return what billing runs bring to the application."""
    tag = Tag("billing_runs", "Billing a plan for many students at once.")
    return Room(tag, BillingRunController, constraint_errors=CONSTRAINT_ERRORS, billing_runs=BillingRuns(database))
