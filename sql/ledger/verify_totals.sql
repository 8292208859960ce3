-- The first :limit invoices whose totals differ from the sums of their payments and refunds, or whose sums are out of
-- bounds, with the totals of their adjustments, which verify_adjustments.sql proves; no rows if all agree. It reads every payment once.
with sums as (
  select
    school_id, invoice_id,
    sum(amount) filter (where kind = 'PAYMENT') as payments_total,
    sum(amount) filter (where kind = 'REFUND') as refunds_total
  from payments
  group by school_id, invoice_id
),
compared as (
  select
    invoices.id, invoices.school_id, invoices.voided_at,
    total_amount - credited_total - discounted_total - written_off_total as most,
    invoices.payments_total, coalesce(sums.payments_total, 0) as payments_sum,
    invoices.refunds_total, coalesce(sums.refunds_total, 0) as refunds_sum
  from invoices
  left join sums on sums.invoice_id = invoices.id and sums.school_id = invoices.school_id
)
select id, school_id, payments_total, payments_sum, refunds_total, refunds_sum
from compared
where (payments_total, refunds_total) is distinct from (payments_sum, refunds_sum)
   or payments_sum - refunds_sum not between 0 and most
   or (voided_at is not null and payments_sum <> refunds_sum)
order by school_id, id
limit :limit
