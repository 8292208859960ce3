-- The first :limit receipts whose totals differ from the sums of their allocations and refunds, whose sums are out of
-- bounds, or that are reversed and pay something; no rows if all agree. An allocation that was taken back does not count.
with allocations as (
  select school_id, receipt_id, sum(case kind when 'PAYMENT' then amount else -amount end) as total
  from payments
  where receipt_id is not null
  group by school_id, receipt_id
),
refunds as (
  select school_id, receipt_id, sum(amount) as total
  from receipt_refunds
  group by school_id, receipt_id
),
compared as (
  select
    receipts.id, receipts.school_id, amount, reversed_at, allocated_total, refunded_total,
    coalesce(allocations.total, 0) as allocations_sum, coalesce(refunds.total, 0) as refunds_sum
  from receipts
  left join allocations on allocations.receipt_id = receipts.id and allocations.school_id = receipts.school_id
  left join refunds on refunds.receipt_id = receipts.id and refunds.school_id = receipts.school_id
)
select id, school_id, amount, reversed_at, allocated_total, allocations_sum, refunded_total, refunds_sum
from compared
where (allocated_total, refunded_total) is distinct from (allocations_sum, refunds_sum)
   or allocations_sum < 0
   or allocations_sum + refunds_sum > case when reversed_at is null then amount else 0 end
order by school_id, id
limit :limit
