-- The school that was added: one row.
with new_school as (
  insert into schools (name, currency, time_zone)
  select :name, :currency, :time_zone
  from written_by(:actor, :request_id)
  cross join claim_idempotency_key(:idempotency_scope, :idempotency_key, :fingerprint)
  returning id, name, currency, time_zone, created_at, updated_at
)
select id, name, currency, time_zone, created_at, updated_at
from new_school
cross join lateral remember_answer(:idempotency_scope, :idempotency_key, to_jsonb(new_school))
