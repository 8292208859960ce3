-- The payment that was recorded: a row, or none where there is no such invoice or it is not the tenant's.
--
-- A trigger of the table moves the invoice's totals. Two payers of one invoice queue at its row, and each sees what the
-- one before it left; the invoice's checks refuse the one too many, and the whole statement with it. An idempotency
-- key is claimed before all that, and kept with the answer.
with claim as materialized (
  select coalesce(claim_idempotency_key(:request_idempotency_scope, :request_idempotency_key), true) as granted
),
author as materialized (
  select written_by(:request_actor, :request_id) as noted
),
new_payment as (
  insert into payments (school_id, invoice_id, kind, amount, method, reference, paid_at)
  select
    school_id, id, :kind::text, :amount::numeric(12, 2), :method, :reference, coalesce(:paid_at, now())
  from invoices
  where (select granted from claim)
    and (select noted from author)
    and id = :invoice_id
    and (:tenant::uuid is null or school_id = :tenant)
  returning id, school_id, invoice_id, kind, amount, method, reference, paid_at, created_at, updated_at
),
answer as (
  select
    new_payment.id, school_id, invoice_id, kind, amount, currency, method, reference, paid_at,
    new_payment.created_at, new_payment.updated_at
  from new_payment
  join schools on schools.id = new_payment.school_id
  where (:tenant::uuid is null or schools.id = :tenant)
)
select
  id, school_id, invoice_id, kind, amount, currency, method, reference, paid_at, created_at, updated_at
from answer
cross join lateral remember_answer(:request_idempotency_scope, :request_idempotency_key, :request_fingerprint, to_jsonb(answer))
