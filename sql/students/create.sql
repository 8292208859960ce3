-- The student that was added: a row, or none where there is no such school or it is not the tenant's.
-- On Citus: in steps, each routed to the school's shard.
with claim as materialized (
  -- Before anything else, and whatever else is found: see the filter on it.
  select claim_idempotency_key(:idempotency_scope, :idempotency_key, :fingerprint) as granted
),
new_student as (
  insert into students (school_id, full_name, external_id)
  select schools.id, :full_name, :external_id
  from schools
  cross join written_by(:actor, :request_id)
  where (select granted from claim)
    and schools.id = :school_id
    and (:tenant::uuid is null or schools.id = :tenant)
  returning id, school_id, full_name, external_id, created_at, updated_at
)
select id, school_id, full_name, external_id, created_at, updated_at
from new_student
cross join lateral remember_answer(:idempotency_scope, :idempotency_key, to_jsonb(new_student))
