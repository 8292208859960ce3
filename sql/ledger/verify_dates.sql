-- The first :limit movements of money, and adjustments, that are dated after now, or before what they move, one row each. The API refuses
-- such a date; the clock of the server was ahead, or somebody wrote them by hand. A statement of now counts a payment of
-- the future, one of a period does not.
with dated as (
  select
    case when payments.receipt_id is null then 'payment' else 'allocation' end as what,
    payments.id, payments.school_id, payments.paid_at as dated_at,
    case
      when payments.paid_at > now() then 'in the future'
      when payments.paid_at < receipts.received_at then 'before its receipt'
      when payments.receipt_id is not null and payments.paid_at < invoices.issued_at then 'before its invoice'
      when payments.paid_at < allocations.paid_at then 'before the allocation that it takes back'
    end as finding
  from payments
  join invoices on invoices.id = payments.invoice_id and invoices.school_id = payments.school_id
  left join receipts on receipts.id = payments.receipt_id and receipts.school_id = payments.school_id
  left join payments as allocations
    on allocations.id = payments.reverses_id and allocations.school_id = payments.school_id
  union all
  select
    'adjustment', adjustments.id, adjustments.school_id, adjustments.adjusted_at,
    case
      when adjustments.adjusted_at > now() then 'in the future'
      when adjustments.adjusted_at < invoices.issued_at then 'before its invoice'
      when adjustments.adjusted_at < reversed.adjusted_at then 'before the adjustment that it takes back'
    end
  from adjustments
  join invoices on invoices.id = adjustments.invoice_id and invoices.school_id = adjustments.school_id
  left join adjustments as reversed
    on reversed.id = adjustments.reverses_id and reversed.school_id = adjustments.school_id
  union all
  select
    'receipt', id, school_id, greatest(received_at, reversed_at),
    case when greatest(received_at, reversed_at) > now() then 'in the future' end
  from receipts
  union all
  select
    'receipt refund', receipt_refunds.id, receipt_refunds.school_id, refunded_at,
    case
      when refunded_at > now() then 'in the future'
      when refunded_at < received_at then 'before its receipt'
    end
  from receipt_refunds
  join receipts on receipts.id = receipt_refunds.receipt_id and receipts.school_id = receipt_refunds.school_id
)
select what, id, school_id, dated_at, finding
from dated
where finding is not null
order by dated_at, id
limit :limit
