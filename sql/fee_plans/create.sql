-- The new plan in its first version: one row, or none if the tenant has no such school. :lines has the items, and then the
-- rules. An idempotency key is claimed before anything else happens.
with claim as materialized (select coalesce(claim_idempotency_key(:request_idempotency_scope, :request_idempotency_key), true) as granted),
author as materialized (select written_by(:request_actor, :request_id) as noted),
new_plan as (
  insert into fee_plans (school_id, name)
  select schools.id, :name
  from schools
  where (select granted from claim)
    and (select noted from author)
    and schools.id = :school_id
    and (:tenant::uuid is null or schools.id = :tenant)
  returning id, school_id, name, version, created_at, updated_at
),
new_items as (
  insert into fee_plan_items (
    school_id, fee_plan_id, version, position, kind, description, category, categories, percent, amount, from_rank,
    after_days, minimum, maximum_times, days_before_due
  )
  select
    new_plan.school_id, new_plan.id, new_plan.version, ordinality, kind, description, category, categories, percent, amount,
    from_rank, after_days, minimum, maximum_times, days_before_due
  from new_plan
  cross join jsonb_populate_recordset(null::fee_plan_items, :lines::jsonb) with ordinality
  returning
    position, kind, description, category, categories, percent, amount, from_rank, after_days, minimum, maximum_times,
    days_before_due
),
answer as (
  select
    id, school_id, name, version,
    (
      select coalesce(jsonb_agg(to_jsonb(new_items) - 'position' order by position), '[]') from new_items where kind = 'item'
    ) as items,
    (
      select coalesce(jsonb_agg(to_jsonb(new_items) - 'position' order by position), '[]') from new_items where kind <> 'item'
    ) as rules,
    created_at, updated_at
  from new_plan
)
select id, school_id, name, version, items, rules, created_at, updated_at
from answer
cross join lateral remember_answer(:request_idempotency_scope, :request_idempotency_key, :request_fingerprint, to_jsonb(answer))
