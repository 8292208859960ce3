-- The new student: one row, or none if the tenant has no such school. An idempotency key is claimed
-- before anything else happens.
with claim as materialized (select coalesce(claim_idempotency_key(:request_idempotency_scope, :request_idempotency_key), true) as granted),
author as materialized (select written_by(:request_actor, :request_id) as noted),
new_student as (
  insert into students (school_id, full_name, external_id, group_name, left_on)
  select schools.id, :full_name, :external_id, :group_name, :left_on
  from schools
  where (select granted from claim)
    and (select noted from author)
    and schools.id = :school_id
    and (:tenant::uuid is null or schools.id = :tenant)
  returning id, school_id, full_name, external_id, group_name, left_on, created_at, updated_at
)
select id, school_id, full_name, external_id, group_name, left_on, created_at, updated_at
from new_student
cross join lateral remember_answer(:request_idempotency_scope, :request_idempotency_key, :request_fingerprint, to_jsonb(new_student))
