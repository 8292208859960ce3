-- The deleted plan: one row, or none if the tenant has no such plan or :if_match does not list its version. A foreign key
-- refuses a plan that a billing run used. The items of all versions go with the plan.
with author as materialized (select written_by(:request_actor, :request_id) as noted),
gone as (
  delete from fee_plans
  where (select noted from author)
    and id = :plan_id
    and (:tenant::uuid is null or school_id = :tenant)
    and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
  returning id, school_id, name, version, created_at, updated_at
),
items as (
  delete from fee_plan_items
  using gone
  where fee_plan_items.fee_plan_id = gone.id
    and fee_plan_items.school_id = gone.school_id
    and (:tenant::uuid is null or fee_plan_items.school_id = :tenant)
)
select id, school_id, name, version, '[]'::jsonb as items, '[]'::jsonb as rules, created_at, updated_at
from gone
