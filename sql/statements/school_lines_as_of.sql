-- Every invoice of a school as of a moment, with the student it is raised on, in the order of their ids: a row each. They
-- are the lines of school_as_of.sql.
with account as (
  select coalesce(:as_of::timestamptz, end_of_day(:as_of_date::date, time_zone)) as as_of
  from schools
  where id = :school_id
    and (:tenant::uuid is null or id = :tenant)
),
invoice_sums as (
  select
    invoice_id,
    coalesce(-sum(change) filter (where kind in ('CREDIT_NOTE', 'CREDIT_NOTE_REVERSAL')), 0.00) as credited_total,
    coalesce(-sum(change) filter (where kind in ('DISCOUNT', 'DISCOUNT_REVERSAL')), 0.00) as discounted_total,
    coalesce(-sum(change) filter (where kind in ('WRITE_OFF', 'WRITE_OFF_REVERSAL')), 0.00) as written_off_total,
    coalesce(-sum(change) filter (where kind = 'PAYMENT'), 0.00) as payments_total,
    coalesce(sum(change) filter (where kind = 'REFUND'), 0.00) as refunds_total,
    sum(change) as balance_due,
    bool_or(kind = 'VOID') as is_void
  from account_entries
  where school_id = :school_id
    and issued_at <= (select as_of from account)
    and happened_at <= (select as_of from account)
  group by invoice_id
)
select
  invoices.id, student_id, full_name, external_id, amount_text(total_amount) as total_amount,
  instant_text(issued_at) as issued_at, due_date, description, amount_text(sums.credited_total) as credited_total,
  amount_text(sums.discounted_total) as discounted_total, amount_text(sums.written_off_total) as written_off_total,
  amount_text(sums.payments_total) as payments_total,
  amount_text(sums.refunds_total) as refunds_total, amount_text(sums.payments_total - sums.refunds_total) as paid_total,
  amount_text(sums.balance_due) as balance_due,
  invoice_status(
    is_void, sums.payments_total - sums.refunds_total, total_amount, sums.credited_total + sums.discounted_total,
    sums.written_off_total
  ) as status
from account
join invoices on invoices.school_id = :school_id and issued_at <= account.as_of
join students on students.id = invoices.student_id and students.school_id = invoices.school_id
  and (:tenant::uuid is null or students.school_id = :tenant)
-- Each invoice has its sums; an inner join would let the planner look up one invoice after the other.
left join invoice_sums as sums on sums.invoice_id = invoices.id
order by invoices.id
