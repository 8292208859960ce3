-- One receipt with what it pays and what was given back of it: one row, or none if the tenant has no such receipt.
select
  receipts.id, receipts.school_id, payer_id, payer_name, number, amount, currency, method, reference, source,
  external_reference, received_at, reversed_at, reverse_reason, allocated_total, refunded_total, unallocated,
  receipts.created_at, receipts.updated_at, allocations_of_receipt(receipts.id, receipts.school_id) as allocations,
  refunds_of_receipt(receipts.id, receipts.school_id) as refunds
from receipts
join schools on schools.id = receipts.school_id and (:tenant::uuid is null or schools.id = :tenant)
where receipts.id = :receipt_id
  and (:tenant::uuid is null or receipts.school_id = :tenant)
