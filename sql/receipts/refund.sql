-- The receipt, of whose unallocated money something was given back: one row, or none if the tenant has no such receipt
-- or :if_match does not list its version. A check of receipts refuses more than is unallocated. A trigger moves the
-- total at the end of the statement, so the answer adds what it adds.
with claim as materialized (select coalesce(claim_idempotency_key(:request_idempotency_scope, :request_idempotency_key), true) as granted),
author as materialized (select written_by(:request_actor, :request_id) as noted),
receipt as (
  select
    receipts.id, school_id, payer_id, payer_name, number, amount, currency, method, reference, source,
    external_reference, received_at, reversed_at, reverse_reason, allocated_total, refunded_total, unallocated,
    receipts.created_at, receipts.updated_at
  from receipts
  join schools on schools.id = receipts.school_id and (:tenant::uuid is null or schools.id = :tenant)
  where (select granted from claim)
    and (select noted from author)
    and receipts.id = :receipt_id
    and (:tenant::uuid is null or receipts.school_id = :tenant)
    and (:if_match::timestamptz[] is null or receipts.updated_at = any(:if_match))
  for no key update of receipts
),
-- Read when the receipt is locked, and before the refund is added.
movements as materialized (
  select allocations, refunds
  from receipt
  cross join lateral movements_of_locked_receipt(id, school_id)
),
refund as (
  insert into receipt_refunds (school_id, receipt_id, amount, method, reference, reason, refunded_at)
  select
    school_id, id, :amount::numeric(12, 2), :method, :reference, :reason,
    coalesce(:refunded_at, start_of_movement(:refunded_on, id, school_id), now())
  from receipt
  cross join movements
  returning id, amount, method, reference, reason, refunded_at
),
answer as (
  select
    receipt.id, school_id, payer_id, payer_name, number, receipt.amount, currency, receipt.method, receipt.reference,
    source, external_reference, received_at, reversed_at, reverse_reason, allocated_total,
    refunded_total + refund.amount as refunded_total, unallocated - refund.amount as unallocated,
    allocations, refunds || to_jsonb(refund) as refunds,
    created_at, updated_at_after(updated_at, 1) as updated_at
  from receipt
  cross join movements
  cross join refund
)
select
  id, school_id, payer_id, payer_name, number, amount, currency, method, reference, source, external_reference,
  received_at, reversed_at, reverse_reason, allocated_total, refunded_total, unallocated, created_at, updated_at,
  allocations, refunds
from answer
cross join lateral remember_answer(:request_idempotency_scope, :request_idempotency_key, :request_fingerprint, to_jsonb(answer))
