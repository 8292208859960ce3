-- A school's statement as of a moment, or over a period that ends with it, as one JSON document, and the invoice after
-- which the next page of its lines begins: one row, or none if there is no such school or it is not the tenant's. The
-- document is empty if the period begins after the moment.
--
-- The invoices keep the totals of now, so everything is summed from the entries of the account until that moment. They
-- are read once, for the balance of each invoice and for what happened in the period.
with account as (
  select
    id, currency, as_of,
    coalesce(:as_of_date, :ends_on, (as_of at time zone time_zone)::date) as today,
    coalesce(start_of_day(:starts_on, time_zone), '-infinity') as opened_at
  from schools
  cross join lateral (
    select
      coalesce(:as_of::timestamptz, end_of_day(coalesce(:as_of_date::date, :ends_on::date), time_zone), now()) as as_of
  ) as moment
  where id = :school_id
    and (:tenant::uuid is null or id = :tenant)
),
entries as (
  select invoice_id, happened_at, kind, change
  from account_entries
  where school_id = :school_id
    and issued_at <= (select as_of from account)
    and happened_at <= (select as_of from account)
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
  from entries
  group by invoice_id
),
school_invoices as (
  select
    invoices.id, student_id, total_amount, issued_at, due_date, description, sums.credited_total,
    sums.discounted_total, sums.written_off_total, sums.payments_total, sums.refunds_total, sums.balance_due,
    invoice_status(
      is_void, sums.payments_total - sums.refunds_total, total_amount, sums.credited_total + sums.discounted_total,
      sums.written_off_total
    ) as status,
    ageing_bucket(account.today - due_date) as bucket
  from account
  join invoices on invoices.school_id = :school_id and issued_at <= account.as_of
  -- Each invoice has its sums; an inner join would let the planner look up one invoice after the other.
  left join invoice_sums as sums on sums.invoice_id = invoices.id
),
invoiced as (
  select
    student_id, count(*) as invoices_count, sum(total_amount) as invoiced, sum(credited_total) as credited,
    sum(discounted_total) as discounted, sum(written_off_total) as written_off, sum(payments_total) as payments,
    sum(refunds_total) as refunds, sum(balance_due) as balance_due,
    sum(balance_due) filter (where bucket = 0) as bucket_0, sum(balance_due) filter (where bucket = 1) as bucket_1,
    sum(balance_due) filter (where bucket = 2) as bucket_2, sum(balance_due) filter (where bucket = 3) as bucket_3,
    sum(balance_due) filter (where bucket = 4) as bucket_4,
    min(due_date) filter (where balance_due > 0) as oldest_due_date
  from school_invoices
  where status <> 'VOID'
  group by student_id
),
student_totals as (
  select
    amount_text(invoiced) as invoiced_total, amount_text(credited) as credited_total,
    amount_text(discounted) as discounted_total, amount_text(written_off) as written_off_total,
    amount_text(payments) as payments_total,
    amount_text(refunds) as refunds_total, amount_text(payments - refunds) as paid_total,
    amount_text(balance_due) as balance_due_total, amount_text(balance_due - coalesce(bucket_0, 0)) as overdue_total,
    students.id as student_id, full_name, external_id, coalesce(invoices_count, 0) as invoices_count,
    ageing_of(bucket_0, bucket_1, bucket_2, bucket_3, bucket_4) as ageing, oldest_due_date
  from account
  join students on students.school_id = account.id and students.school_id = :school_id
  left join invoiced on invoiced.student_id = students.id
),
invoice_totals as (
  select
    statement_totals_of(
      sum(invoiced), sum(credited), sum(discounted), sum(written_off), sum(payments), sum(refunds), sum(balance_due),
      sum(bucket_0)
    ) as sums,
    ageing_of(sum(bucket_0), sum(bucket_1), sum(bucket_2), sum(bucket_3), sum(bucket_4)) as ageing,
    min(oldest_due_date) as oldest_due_date
  from invoiced
),
credit as (
  select
    amount_text(sum(change) filter (where payer_id is not null)) as unallocated_total,
    amount_text(sum(change) filter (where payer_id is null)) as unidentified_total
  from receipt_entries
  where school_id = :school_id
    and happened_at <= (select as_of from account)
),
fetched as (
  -- One more than the page holds shows whether there is a next page.
  select
    id,
    statement_line_of(
      id, student_id, total_amount, issued_at, due_date, description, credited_total, discounted_total,
      written_off_total, payments_total, refunds_total, balance_due, status
    ) as line
  from school_invoices
  where id > :after
  order by id
  limit :limit::bigint + 1 offset :offset
),
page as (
  select id, line
  from fetched
  order by id
  limit :limit
),
statement as (
  select
    account.id as school_id, currency, instant_text(as_of) as as_of, today as as_of_date,
    (select count(*) from student_totals) as students_count,
    totals, ageing, oldest_due_date,
    (select coalesce(json_agg(student_totals order by full_name, student_id), '[]') from student_totals) as students,
    (select coalesce(json_agg(line order by id), '[]') from page) as invoices
  from account
  cross join invoice_totals
  cross join lateral (
    select
      (sums).invoiced_total, (sums).credited_total, (sums).discounted_total, (sums).written_off_total,
      (sums).payments_total, (sums).refunds_total, (sums).paid_total, (sums).balance_due_total,
      (sums).overdue_total, unallocated_total, unidentified_total
    from credit
  ) as totals
),
opening as (
  select amount_text(sum(change)) as balance
  from account
  join entries on happened_at < opened_at
),
period as (
  select
    :starts_on as "from", (select today from account) as "to",
    amount_text(sum(change) filter (where kind = 'INVOICE')) as invoiced,
    amount_text(-sum(change) filter (where kind in ('CREDIT_NOTE', 'CREDIT_NOTE_REVERSAL'))) as credited,
    amount_text(-sum(change) filter (where kind in ('DISCOUNT', 'DISCOUNT_REVERSAL'))) as discounted,
    amount_text(-sum(change) filter (where kind in ('WRITE_OFF', 'WRITE_OFF_REVERSAL'))) as written_off,
    amount_text(-sum(change) filter (where kind = 'PAYMENT')) as paid,
    amount_text(sum(change) filter (where kind = 'REFUND')) as refunded,
    amount_text(-sum(change) filter (where kind = 'VOID')) as voided
  from account
  join entries on happened_at >= opened_at
),
statement_of_period as (
  select
    school_id, currency, as_of, as_of_date, students_count, totals, ageing, oldest_due_date, students, invoices,
    opening.balance as opening_balance, (totals).balance_due_total as closing_balance, period
  from statement
  cross join opening
  cross join period
)
select
  case
    when opened_at > as_of then ''
    when :starts_on is null and :ends_on is null then (select to_json(statement)::text from statement)
    else (select to_json(statement_of_period)::text from statement_of_period)
  end as document,
  case when (select count(*) from fetched) > :limit then (select id from page order by id desc limit 1) end as next_after
from account
