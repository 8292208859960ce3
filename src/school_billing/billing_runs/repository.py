"""The billing_runs and billing_run_rows tables."""

from collections.abc import AsyncGenerator, Sequence
from time import perf_counter
from typing import NoReturn, TypeVar
from uuid import UUID

import structlog

from school_billing.auth.contracts import Tenant
from school_billing.billing_runs.contracts import (
    BillingRun,
    BillingRunIn,
    LateFeeRunIn,
    RevertedRun,
    RunKind,
    RunRow,
    RunStatus,
    Verdict,
)
from school_billing.billing_runs.errors import (
    BillingRunAbandoned,
    BillingRunCommitted,
    BillingRunNotCommitted,
    BillingRunNotFound,
    StudentsChanged,
    due_before_issue,
)
from school_billing.fee_plans.contracts import RuleKind
from school_billing.fee_plans.errors import FeePlanNotFound
from school_billing.fee_plans.repository import FeePlans
from school_billing.platform.database.errors import ConstraintViolated
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.idempotency import once
from school_billing.platform.web.conditional import IfMatch, refuse_change
from school_billing.platform.web.errors import FieldError, InvalidBody
from school_billing.platform.web.json_body import whole
from school_billing.platform.web.pages import NIL, Listed, Page
from school_billing.schools.days import Moment
from school_billing.schools.repository import Schools

CREATE = Query("billing_runs/create", BillingRun)
GET = Query("billing_runs/get", BillingRun)
LIST = Query("billing_runs/list", BillingRun)
ROWS = Query("billing_runs/rows", RunRow)
STRANGERS = Query("billing_runs/strangers", int)
COMMIT = Query("billing_runs/commit", BillingRun)
ABANDON = Query("billing_runs/abandon", BillingRun)
REVERT = Query("billing_runs/revert", RevertedRun)

Run = TypeVar("Run", bound=BillingRun)

log = structlog.get_logger("school_billing.billing_runs")


class BillingRuns:
    """Billing runs. A run of another school than the tenant is a BillingRunNotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, tenant: Tenant, school_id: UUID, run: BillingRunIn | LateFeeRunIn) -> BillingRun:
        """Make a preview.

        Raises:
            InvalidBody: The fields contradict each other, the school has no such group or students, or the plan has no
                late fees to charge.
            SchoolNotFound, FeePlanNotFound: There is no such school, or no such plan in the school.
        """
        run.require_sense()
        issued = run.issued_at or Moment()
        started = perf_counter()
        try:
            async with once(self._database):
                created = await self._database.one_or_none(
                    CREATE,
                    tenant=tenant,
                    school_id=school_id,
                    kind=run.kind.value,
                    plan_id=run.plan_id,
                    period=run.period,
                    due_dates=run.due_dates,
                    group=run.group,
                    student_ids=run.student_ids,
                    issued_at=issued.instant,
                    issued_on=issued.day,
                )
        except ConstraintViolated as violated:
            if run.kind is RunKind.LATE_FEES and violated.constraint == "billing_runs_due_after_issue":
                raise due_before_issue("due_date")() from violated
            raise
        if created is None:
            await self._refuse(tenant, school_id, run)
        return _logged("billing_run_previewed", whole(created), started)

    async def get(self, tenant: Tenant, billing_run_id: UUID) -> BillingRun:
        """Return a run."""
        return whole(
            await self._database.one_or_raise(GET, BillingRunNotFound, tenant=tenant, billing_run_id=billing_run_id)
        )

    async def list(
        self,
        tenant: Tenant,
        page: Page,
        school_id: UUID | None,
        plan_id: UUID | None,
        kind: RunKind | None,
        period: str | None,
    ) -> Listed[BillingRun]:
        """Return a page of runs."""
        return await page.read(
            self._database,
            LIST,
            tenant=tenant,
            school_id=school_id,
            plan_id=plan_id,
            kind=kind and kind.value,
            period=period,
        )

    async def rows(self, tenant: Tenant, page: Page, billing_run_id: UUID, verdict: Verdict | None) -> Listed[RunRow]:
        """Return a page of the rows of a run. Their lists are as the database wrote them."""
        run = await self.get(tenant, billing_run_id)
        return await page.read(
            self._database,
            ROWS,
            tenant=tenant,
            school_id=run.school_id,
            billing_run_id=run.id,
            verdict=verdict and verdict.value,
        )

    def all_rows(self, tenant: Tenant, run: BillingRun, verdict: Verdict | None) -> AsyncGenerator[Sequence[RunRow]]:
        """Yield the rows of a run in parts."""
        return self._database.stream(
            ROWS,
            run.school_id,
            tenant=tenant,
            school_id=run.school_id,
            billing_run_id=run.id,
            verdict=verdict and verdict.value,
            after=NIL,
            newest_first=False,
            limit=None,
            offset=0,
        )

    async def commit(
        self, tenant: Tenant, billing_run_id: UUID, if_match: IfMatch, *, all_or_nothing: bool
    ) -> BillingRun:
        """Make the invoices of a preview. A run that is committed already stays as it is, and is returned again.

        Raises:
            BillingRunAbandoned: The run is abandoned.
            StudentsChanged: Something changed since the preview, and all or nothing is to be billed.
        """
        started = perf_counter()
        run = await self.get(tenant, billing_run_id)
        if run.status == RunStatus.PREVIEW:
            # The statement says nothing until it is done, and takes seconds for a large school.
            _log("billing_run_committing", run)
        committed = await self._database.one_or_none(
            COMMIT,
            tenant=tenant,
            billing_run_id=billing_run_id,
            if_match=if_match.versions,
            all_or_nothing=all_or_nothing,
        )
        if committed is not None:
            return _logged("billing_run_committed", whole(committed), started)
        run = await self.get(tenant, billing_run_id)
        if run.committed_at is None:
            refuse_change(run, if_match, BillingRunAbandoned() if run.abandoned_at else StudentsChanged())
        _require_seen(run, if_match)
        return run

    async def abandon(self, tenant: Tenant, billing_run_id: UUID, if_match: IfMatch) -> BillingRun:
        """Give a preview up. BillingRunCommitted if it is none any more."""
        abandoned = await self._database.one_or_none(
            ABANDON, tenant=tenant, billing_run_id=billing_run_id, if_match=if_match.versions
        )
        if abandoned is not None:
            return whole(abandoned)
        run = await self.get(tenant, billing_run_id)
        if run.abandoned_at is None:
            refuse_change(run, if_match, BillingRunCommitted())
        _require_seen(run, if_match)
        return run

    async def revert(self, tenant: Tenant, billing_run_id: UUID, if_match: IfMatch, reason: str) -> RevertedRun:
        """Void the invoices of a run on which nothing happened. BillingRunNotCommitted if it has none."""
        started = perf_counter()
        reverted = await self._database.one_or_none(
            REVERT, tenant=tenant, billing_run_id=billing_run_id, if_match=if_match.versions, reason=reason
        )
        if reverted is None:
            refuse_change(await self.get(tenant, billing_run_id), if_match, BillingRunNotCommitted())
        return _logged("billing_run_reverted", whole(reverted), started)

    async def _refuse(self, tenant: Tenant, school_id: UUID, run: BillingRunIn | LateFeeRunIn) -> NoReturn:
        """Raise the reason why there is no preview."""
        await Schools(self._database).get(tenant, school_id)
        plan = await FeePlans(self._database).get(tenant, run.plan_id)
        if plan.school_id != school_id:
            raise FeePlanNotFound("There is no such fee plan in the school.")
        if run.kind is RunKind.LATE_FEES and all(rule.kind is not RuleKind.LATE_FEE for rule in plan.rules):
            raise InvalidBody(errors=[FieldError("plan_id", "must be a fee plan that has a rule of the kind late_fee")])
        if run.group is not None:
            raise InvalidBody(errors=[FieldError("group", "must be the group of a student of the school")])
        strangers = await self._database.all(
            STRANGERS, tenant=tenant, school_id=school_id, student_ids=run.student_ids or []
        )
        rule = "must be a student of the school"
        raise InvalidBody(errors=[FieldError(f"student_ids[{place}]", rule) for place in strangers[:100]])


def _require_seen(run: BillingRun, if_match: IfMatch) -> None:
    """Raise PreconditionFailed if If-Match names neither the run as it is nor its preview, which has one version."""
    if if_match.versions is None or run.created_at not in if_match.versions:
        if_match.require(run)


def _logged(event: str, run: Run, started: float) -> Run:
    """Write a line about what a statement did, and how long it took."""
    _log(event, run, seconds=round(perf_counter() - started, 3))
    return run


def _log(event: str, run: BillingRun, **figures: float) -> None:
    students = {name: count for name in run.counts.__struct_fields__ if (count := getattr(run.counts, name))}
    log.info(
        event,
        billing_run_id=str(run.id),
        school_id=str(run.school_id),
        kind=run.kind,
        students=students,
        invoices=run.invoices_count,
        **figures,
    )
