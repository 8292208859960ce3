-- The first :limit invoices whose totals of adjustments differ from the sums of these, or that are void and adjusted; no rows
-- if all agree. A reversal counts against what it reverses.
with sums as (
  select
    school_id, invoice_id,
    sum(case when reverses_id is null then amount else -amount end) filter (where kind = 'CREDIT_NOTE') as credited,
    sum(case when reverses_id is null then amount else -amount end) filter (where kind = 'DISCOUNT') as discounted,
    sum(case when reverses_id is null then amount else -amount end) filter (where kind = 'WRITE_OFF') as written_off,
    sum(amount) filter (where reverses_id is not null) as reversed
  from adjustments
  group by school_id, invoice_id
),
compared as (
  select
    invoices.id, invoices.school_id, voided_at, credited_total, coalesce(credited, 0) as credited_sum, discounted_total,
    coalesce(discounted, 0) as discounted_sum, written_off_total, coalesce(written_off, 0) as written_off_sum,
    reversals_total, coalesce(reversed, 0) as reversals_sum
  from invoices
  left join sums on sums.invoice_id = invoices.id and sums.school_id = invoices.school_id
)
select
  id, school_id, credited_total, credited_sum, discounted_total, discounted_sum, written_off_total, written_off_sum,
  reversals_total, reversals_sum
from compared
where (credited_total, discounted_total, written_off_total, reversals_total)
    is distinct from (credited_sum, discounted_sum, written_off_sum, reversals_sum)
   or (voided_at is not null and credited_sum + discounted_sum + written_off_sum <> 0)
order by school_id, id
limit :limit
