-- The reversed receipt: one row, or none if the tenant has no such receipt, :if_match does not list its version, or it
-- is already reversed. Every allocation is taken back, so the debts return with their due dates. Triggers move the
-- totals at the end of the statement, and at commit they refuse a receipt that is reversed but pays something, or that
-- moved after :reversed_at.
with claim as materialized (select coalesce(claim_idempotency_key(:request_idempotency_scope, :request_idempotency_key), true) as granted),
author as materialized (select written_by(:request_actor, :request_id) as noted),
receipt as (
  select
    receipts.id, school_id, currency,
    coalesce(:reversed_at, start_of_movement(:reversed_on, receipts.id, school_id), now()) as reversed_at
  from receipts
  join schools on schools.id = receipts.school_id and (:tenant::uuid is null or schools.id = :tenant)
  where (select granted from claim)
    and (select noted from author)
    and receipts.id = :receipt_id
    and (:tenant::uuid is null or receipts.school_id = :tenant)
    and (:if_match::timestamptz[] is null or receipts.updated_at = any(:if_match))
    and receipts.reversed_at is null
  for no key update of receipts
),
taken_back as (
  insert into payments (school_id, invoice_id, receipt_id, reverses_id, kind, amount, method, reference, reason, paid_at)
  select
    payments.school_id, invoice_id, receipt_id, payments.id, 'REFUND', amount, method, reference, :reason::text,
    receipt.reversed_at
  from receipt
  join payments on payments.receipt_id = receipt.id and payments.school_id = receipt.school_id
  where kind = 'PAYMENT'
    and (:tenant::uuid is null or payments.school_id = :tenant)
    and not exists (
      select 1
      from payments as later
      where later.reverses_id = payments.id
        and later.school_id = payments.school_id
        and (:tenant::uuid is null or later.school_id = :tenant)
    )
  order by invoice_id, payments.id
  returning reverses_id, paid_at
),
reversed as (
  update receipts
  set reversed_at = receipt.reversed_at,
      reverse_reason = :reason::text
  from receipt
  where receipts.id = receipt.id
    and receipts.school_id = receipt.school_id
    and (:tenant::uuid is null or receipts.school_id = :tenant)
  returning
    receipts.id, receipts.school_id, payer_id, payer_name, number, amount, currency, method, reference, source,
    external_reference, received_at, receipts.reversed_at, reverse_reason, refunded_total, unallocated, created_at,
    updated_at
),
allocations as (
  select
    payment_id, invoice_id, student_id, full_name, description, amount, allocated_at,
    coalesce(receipt_allocations.reversed_at, receipt.reversed_at) as reversed_at
  from receipt
  join receipt_allocations on receipt_allocations.receipt_id = receipt.id
    and receipt_allocations.school_id = receipt.school_id
    and (:tenant::uuid is null or receipt_allocations.school_id = :tenant)
),
answer as (
  select
    id, school_id, payer_id, payer_name, number, amount, currency, method, reference, source, external_reference,
    received_at, reversed_at, reverse_reason, 0.00 as allocated_total, refunded_total, unallocated,
    (
      select coalesce(jsonb_agg(to_jsonb(allocations) order by allocated_at, payment_id), '[]') from allocations
    ) as allocations,
    refunds_of_receipt(id, school_id) as refunds,
    created_at, updated_at_after(updated_at, (select sign(count(*))::int from taken_back)) as updated_at
  from reversed
)
select
  id, school_id, payer_id, payer_name, number, amount, currency, method, reference, source, external_reference,
  received_at, reversed_at, reverse_reason, allocated_total, refunded_total, unallocated, created_at, updated_at,
  allocations, refunds
from answer
cross join lateral remember_answer(:request_idempotency_scope, :request_idempotency_key, :request_fingerprint, to_jsonb(answer))
