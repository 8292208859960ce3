"""The fee_plans and fee_plan_items tables."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from school_billing.auth.contracts import Tenant
from school_billing.fee_plans.contracts import FeePlan, FeePlanIn, FeePlanPatch, PlanLine, plan_lines
from school_billing.fee_plans.errors import FeePlanNotFound
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.idempotency import once
from school_billing.platform.web.conditional import IfMatch, refuse_change
from school_billing.platform.web.json_body import is_given, set_or_none, whole
from school_billing.platform.web.pages import Listed, Page
from school_billing.schools.errors import SchoolNotFound

CREATE = Query("fee_plans/create", FeePlan)
GET = Query("fee_plans/get", FeePlan)
LIST = Query("fee_plans/list", FeePlan)
UPDATE = Query("fee_plans/update", FeePlan)
DELETE = Query("fee_plans/delete", FeePlan)


class FeePlans:
    """Fee plans. A plan of another school than the tenant is a FeePlanNotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, tenant: Tenant, plan: FeePlanIn) -> FeePlan:
        """Add a plan. SchoolNotFound if there is no such school."""
        lines = _json(plan_lines(plan.items, plan.rules))
        async with once(self._database):
            created = await self._database.one_or_raise(
                CREATE, SchoolNotFound, tenant=tenant, school_id=plan.school_id, name=plan.name, lines=lines
            )
        return whole(created)

    async def get(self, tenant: Tenant, plan_id: UUID) -> FeePlan:
        """Return a plan."""
        return whole(await self._database.one_or_raise(GET, FeePlanNotFound, tenant=tenant, plan_id=plan_id))

    async def list(self, tenant: Tenant, page: Page, school_id: UUID | None) -> Listed[FeePlan]:
        """Return a page of plans."""
        return await page.read_whole(self._database, LIST, tenant=tenant, school_id=school_id)

    async def update(self, tenant: Tenant, plan_id: UUID, patch: FeePlanPatch, if_match: IfMatch) -> FeePlan:
        """Change the name, or make a new version with other items or rules."""
        lines = plan_lines(set_or_none(patch.items) or [], set_or_none(patch.rules) or [])
        updated = await self._database.one_or_none(
            UPDATE,
            tenant=tenant,
            plan_id=plan_id,
            if_match=if_match.versions,
            name=set_or_none(patch.name),
            items_given=is_given(patch.items),
            rules_given=is_given(patch.rules),
            lines=_json(lines),
        )
        return whole(updated or refuse_change(await self.get(tenant, plan_id), if_match, FeePlanNotFound()))

    async def delete(self, tenant: Tenant, plan_id: UUID, if_match: IfMatch) -> None:
        """Delete a plan. A foreign key refuses to delete one that a billing run used."""
        deleted = await self._database.one_or_none(DELETE, tenant=tenant, plan_id=plan_id, if_match=if_match.versions)
        if deleted is None:
            refuse_change(await self.get(tenant, plan_id), if_match, FeePlanNotFound())


def _json(lines: Sequence[PlanLine]) -> str:
    return msgspec.json.encode(lines, enc_hook=str).decode()
