-- The receipt with its payer: one row, or none if the tenant has no such receipt, :if_match does not list its version, its
-- school has no such payer, or it is reversed. The payer of a receipt that pays something stays.
with author as materialized (select written_by(:request_actor, :request_id) as noted),
claimed as (
  update receipts
  set payer_id = payers.id,
      -- A payer who changed the name changes no receipt.
      payer_name = case when receipts.payer_id = payers.id then receipts.payer_name else payers.name end
  from payers
  where (select noted from author)
    and receipts.id = :receipt_id
    and (:tenant::uuid is null or receipts.school_id = :tenant)
    and payers.id = :payer_id
    and payers.school_id = receipts.school_id
    and (:tenant::uuid is null or payers.school_id = :tenant)
    and (:if_match::timestamptz[] is null or receipts.updated_at = any(:if_match))
    and receipts.reversed_at is null
    and (receipts.payer_id is null or receipts.payer_id = payers.id or receipts.allocated_total = 0)
  returning
    receipts.id, receipts.school_id, payer_id, payer_name, number, amount, method, reference, source,
    external_reference, received_at, reversed_at, reverse_reason, allocated_total, refunded_total, unallocated,
    receipts.created_at, receipts.updated_at
)
select
  claimed.id, school_id, payer_id, payer_name, number, amount, currency, method, reference, source,
  external_reference, received_at, reversed_at, reverse_reason, allocated_total, refunded_total, unallocated,
  claimed.created_at, claimed.updated_at, allocations, refunds
from claimed
cross join lateral movements_of_locked_receipt(claimed.id, school_id)
join schools on schools.id = school_id
  and (:tenant::uuid is null or schools.id = :tenant)
