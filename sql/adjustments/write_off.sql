-- The write-off of all that is left of an invoice: one row, or none if the tenant has no such invoice or nothing is left. The
-- invoice is locked first, so that its balance is that after the payments for which the statement waited.
with claim as materialized (select coalesce(claim_idempotency_key(:request_idempotency_scope, :request_idempotency_key), true) as granted),
author as materialized (select written_by(:request_actor, :request_id) as noted),
invoice as (
  select invoices.id, school_id, balance_due, currency, time_zone
  from invoices
  join schools on schools.id = invoices.school_id
  where (select granted from claim)
    and (select noted from author)
    and invoices.id = :invoice_id
    and (:tenant::uuid is null or invoices.school_id = :tenant)
    and (:tenant::uuid is null or schools.id = :tenant)
  for no key update of invoices
),
new_adjustment as (
  insert into adjustments (school_id, invoice_id, kind, amount, reason, adjusted_at)
  select
    school_id, id, 'WRITE_OFF', balance_due, :reason,
    coalesce(:adjusted_at, start_of_day(:adjusted_on, time_zone), now())
  from invoice
  where balance_due > 0
  returning id, school_id, invoice_id, reverses_id, kind, number, amount, reason, adjusted_at, created_at, updated_at
),
answer as (
  select
    new_adjustment.id, new_adjustment.school_id, invoice_id, reverses_id, kind, number, amount, currency, reason,
    adjusted_at, created_at, updated_at, '[]'::jsonb as lines
  from new_adjustment
  cross join invoice
)
select
  id, school_id, invoice_id, reverses_id, kind, number, amount, currency, reason, adjusted_at, created_at, updated_at,
  lines
from answer
cross join lateral remember_answer(:request_idempotency_scope, :request_idempotency_key, :request_fingerprint, to_jsonb(answer))
