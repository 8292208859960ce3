-- The new award: one row, or none if the tenant has no such student. It belongs to the student's school. An idempotency key
-- is claimed before anything else happens.
with claim as materialized (select coalesce(claim_idempotency_key(:request_idempotency_scope, :request_idempotency_key), true) as granted),
author as materialized (select written_by(:request_actor, :request_id) as noted),
new_award as (
  insert into awards (
    school_id, student_id, description, categories, percent, amount, valid_from, valid_to, reason, approved_by
  )
  select
    school_id, students.id, :description, :categories::text[], :percent::numeric(7, 4), :amount::numeric(12, 2), :valid_from,
    :valid_to, :reason, :approved_by
  from students
  where (select granted from claim)
    and (select noted from author)
    and students.id = :student_id
    and (:tenant::uuid is null or students.school_id = :tenant)
  returning
    id, school_id, student_id, description, categories, percent, amount, valid_from, valid_to, reason, approved_by,
    created_at, updated_at
)
select
  id, school_id, student_id, description, categories, percent, amount, valid_from, valid_to, reason, approved_by,
  created_at, updated_at
from new_award
cross join lateral remember_answer(:request_idempotency_scope, :request_idempotency_key, :request_fingerprint, to_jsonb(new_award))
