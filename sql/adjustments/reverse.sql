-- The reversal of an adjustment: one row, or none if the tenant has no such adjustment or it is a reversal itself. A unique
-- index refuses the second one. A trigger of the table moves the totals of the invoice.
with claim as materialized (select coalesce(claim_idempotency_key(:request_idempotency_scope, :request_idempotency_key), true) as granted),
author as materialized (select written_by(:request_actor, :request_id) as noted),
reversed as (
  select adjustments.id, school_id, invoice_id, kind, amount, currency
  from adjustments
  join schools on schools.id = adjustments.school_id
  where (select granted from claim)
    and (select noted from author)
    and adjustments.id = :adjustment_id
    and reverses_id is null
    and (:tenant::uuid is null or adjustments.school_id = :tenant)
    and (:tenant::uuid is null or schools.id = :tenant)
),
reversal as (
  insert into adjustments (school_id, invoice_id, reverses_id, kind, amount, reason)
  select school_id, invoice_id, id, kind, amount, :reason
  from reversed
  returning id, school_id, invoice_id, reverses_id, kind, number, amount, reason, adjusted_at, created_at, updated_at
),
answer as (
  select
    reversal.id, reversal.school_id, reversal.invoice_id, reverses_id, reversal.kind, number, reversal.amount, currency,
    reason, adjusted_at, created_at, updated_at, '[]'::jsonb as lines
  from reversal
  cross join reversed
)
select
  id, school_id, invoice_id, reverses_id, kind, number, amount, currency, reason, adjusted_at, created_at, updated_at,
  lines
from answer
cross join lateral remember_answer(:request_idempotency_scope, :request_idempotency_key, :request_fingerprint, to_jsonb(answer))
