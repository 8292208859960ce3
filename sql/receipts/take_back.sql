-- The refund that takes an allocation back to its receipt: one row, or none if the tenant has no such allocation or
-- :if_match does not list its version. A unique index refuses the second one. The receipt is locked before the triggers
-- lock the invoice.
with claim as materialized (select coalesce(claim_idempotency_key(:request_idempotency_scope, :request_idempotency_key), true) as granted),
author as materialized (select written_by(:request_actor, :request_id) as noted),
receipt as (
  select receipts.id, receipts.school_id, currency
  from payments
  join receipts on receipts.id = payments.receipt_id and receipts.school_id = payments.school_id
    and (:tenant::uuid is null or receipts.school_id = :tenant)
  join schools on schools.id = payments.school_id and (:tenant::uuid is null or schools.id = :tenant)
  where (select granted from claim)
    and (select noted from author)
    and payments.id = :payment_id
    and payments.kind = 'PAYMENT'
    and (:tenant::uuid is null or payments.school_id = :tenant)
    and (:if_match::timestamptz[] is null or payments.updated_at = any(:if_match))
  for no key update of receipts
),
refund as (
  insert into payments (school_id, invoice_id, receipt_id, reverses_id, kind, amount, method, reference, reason)
  select payments.school_id, invoice_id, receipt_id, payments.id, 'REFUND', amount, method, reference, :reason
  from receipt
  join payments on payments.id = :payment_id and payments.school_id = receipt.school_id
    and (:tenant::uuid is null or payments.school_id = :tenant)
  returning
    id, school_id, invoice_id, receipt_id, reverses_id, kind, amount, method, reference, reason, paid_at, created_at,
    updated_at
),
answer as (
  select
    refund.id, refund.school_id, invoice_id, receipt_id, reverses_id, kind, amount, currency, method, reference, reason,
    paid_at, created_at, updated_at
  from refund
  cross join receipt
)
select
  id, school_id, invoice_id, receipt_id, reverses_id, kind, amount, currency, method, reference, reason, paid_at,
  created_at, updated_at
from answer
cross join lateral remember_answer(:request_idempotency_scope, :request_idempotency_key, :request_fingerprint, to_jsonb(answer))
