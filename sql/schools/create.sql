-- The new school: one row. An idempotency key is claimed before anything else happens.
with claim as materialized (select coalesce(claim_idempotency_key(:request_idempotency_scope, :request_idempotency_key), true) as granted),
new_school as (
  insert into schools (name, currency, time_zone, address, payment_instructions, iban, invoice_prefix)
  select :name, :currency, :time_zone, :address, :payment_instructions, :iban, :invoice_prefix
  from written_by(:request_actor, :request_id)
  where (select granted from claim)
  returning id, name, currency, time_zone, address, payment_instructions, iban, invoice_prefix, created_at, updated_at
)
select id, name, currency, time_zone, address, payment_instructions, iban, invoice_prefix, created_at, updated_at
from new_school
cross join lateral remember_answer(:request_idempotency_scope, :request_idempotency_key, :request_fingerprint, to_jsonb(new_school))
