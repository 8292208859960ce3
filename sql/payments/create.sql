-- The new payment or refund: one row, or none if the tenant has no such invoice. A trigger of the table moves the
-- totals of the invoice. Parallel payments on one invoice queue at its row, and its checks refuse the one too many.
-- An idempotency key is claimed before anything else happens.
with claim as materialized (select coalesce(claim_idempotency_key(:request_idempotency_scope, :request_idempotency_key), true) as granted),
author as materialized (select written_by(:request_actor, :request_id) as noted),
invoice as (
  select invoices.id, school_id, currency, time_zone
  from invoices
  join schools on schools.id = invoices.school_id
  where (select granted from claim)
    and (select noted from author)
    and invoices.id = :invoice_id
    and (:tenant::uuid is null or invoices.school_id = :tenant)
    and (:tenant::uuid is null or schools.id = :tenant)
),
new_payment as (
  insert into payments (school_id, invoice_id, kind, amount, method, reference, paid_at)
  select
    school_id, id, :kind::text, :amount::numeric(12, 2), :method, :reference,
    coalesce(:paid_at, start_of_day(:paid_on, time_zone), now())
  from invoice
  returning
    id, school_id, invoice_id, receipt_id, reverses_id, kind, amount, method, reference, reason, paid_at, created_at,
    updated_at
),
answer as (
  select
    new_payment.id, new_payment.school_id, invoice_id, receipt_id, reverses_id, kind, amount, currency, method, reference,
    reason, paid_at, created_at, updated_at
  from new_payment
  cross join invoice
)
select
  id, school_id, invoice_id, receipt_id, reverses_id, kind, amount, currency, method, reference, reason, paid_at,
  created_at, updated_at
from answer
cross join lateral remember_answer(:request_idempotency_scope, :request_idempotency_key, :request_fingerprint, to_jsonb(answer))
