-- One plan in its newest version: one row, or none if the tenant has no such plan.
select
  id, school_id, name, version, lines_of_plan(id, school_id, version, false) as items,
  lines_of_plan(id, school_id, version, true) as rules, created_at, updated_at
from fee_plans
where id = :plan_id
  and (:tenant::uuid is null or school_id = :tenant)
