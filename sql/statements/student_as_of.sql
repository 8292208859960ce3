-- A student's statement as of a moment, or over a period that ends with it, as one JSON document: one row, or none
-- if there is no such student or it is not the tenant's. The document is empty if the period begins after the
-- moment. The invoices keep the totals of now, so everything is summed from the entries of the account until then.
with account as (
  select
    students.id, school_id, currency, time_zone, as_of,
    coalesce(:as_of_date, :ends_on, (as_of at time zone time_zone)::date) as today,
    coalesce(start_of_day(:starts_on, time_zone), '-infinity') as opened_at
  from students
  join schools on schools.id = students.school_id and (:tenant::uuid is null or schools.id = :tenant)
  cross join lateral (
    select
      coalesce(:as_of::timestamptz, end_of_day(coalesce(:as_of_date::date, :ends_on::date), time_zone), now()) as as_of
  ) as moment
  where students.id = :student_id
    and (:tenant::uuid is null or students.school_id = :tenant)
),
entries_until_then as (
  select
    invoice_id, payment_id, receipt_id, adjustment_id, happened_at, turn, kind, description, method, reference, amount,
    change
  from account_entries
  where student_id = :student_id
    and school_id = (select school_id from account)
    and (:tenant::uuid is null or school_id = :tenant)
    and issued_at <= (select as_of from account)
    and happened_at <= (select as_of from account)
),
sums as (
  select
    invoice_id,
    coalesce(-sum(change) filter (where kind in ('CREDIT_NOTE', 'CREDIT_NOTE_REVERSAL')), 0.00) as credited_total,
    coalesce(-sum(change) filter (where kind in ('DISCOUNT', 'DISCOUNT_REVERSAL')), 0.00) as discounted_total,
    coalesce(-sum(change) filter (where kind in ('WRITE_OFF', 'WRITE_OFF_REVERSAL')), 0.00) as written_off_total,
    coalesce(-sum(change) filter (where kind = 'PAYMENT'), 0.00) as payments_total,
    coalesce(sum(change) filter (where kind = 'REFUND'), 0.00) as refunds_total,
    sum(change) as balance_due,
    bool_or(kind = 'VOID') as is_void
  from entries_until_then
  group by invoice_id
),
student_invoices as (
  select
    invoices.id, student_id, total_amount, issued_at, due_date, description, sums.credited_total,
    sums.discounted_total, sums.written_off_total, sums.payments_total, sums.refunds_total, sums.balance_due,
    invoice_status(
      is_void, sums.payments_total - sums.refunds_total, total_amount, sums.credited_total + sums.discounted_total,
      sums.written_off_total
    ) as status,
    ageing_bucket(account.today - due_date) as bucket
  from account
  join invoices on invoices.student_id = account.id and invoices.school_id = account.school_id
    and (:tenant::uuid is null or invoices.school_id = :tenant)
    and issued_at <= account.as_of
  -- Each invoice has its sums; an inner join would let the planner look up one invoice after the other.
  left join sums on sums.invoice_id = invoices.id
),
totals as (
  select
    statement_totals_of(
      sum(total_amount), sum(credited_total), sum(discounted_total), sum(written_off_total), sum(payments_total),
      sum(refunds_total), sum(balance_due), sum(balance_due) filter (where bucket = 0)
    ) as totals,
    ageing_of(
      sum(balance_due) filter (where bucket = 0), sum(balance_due) filter (where bucket = 1),
      sum(balance_due) filter (where bucket = 2), sum(balance_due) filter (where bucket = 3),
      sum(balance_due) filter (where bucket = 4)
    ) as ageing,
    min(due_date) filter (where balance_due > 0) as oldest_due_date
  from student_invoices
  where status <> 'VOID'
),
lines as (
  select
    json_agg(
      statement_line_of(
        id, student_id, total_amount, issued_at, due_date, description, credited_total, discounted_total,
        written_off_total, payments_total, refunds_total, balance_due, status
      )
      order by issued_at, id
    ) as invoices
  from student_invoices
),
running as (
  -- From the first entry on, because each balance includes all earlier entries.
  select
    invoice_id, payment_id, receipt_id, adjustment_id, happened_at, kind, description, method, reference, amount,
    sum(change) over in_order as balance,
    row_number() over in_order as place
  from entries_until_then
  window in_order as (order by happened_at, turn, coalesce(payment_id, adjustment_id, invoice_id) rows unbounded preceding)
),
entries as (
  select coalesce(json_agg(entry order by place), '[]') as entries
  from account
  join running on happened_at >= account.opened_at
  cross join lateral (
    select
      (happened_at at time zone time_zone)::date as date, instant_text(happened_at) as happened_at, kind, invoice_id,
      payment_id, receipt_id, adjustment_id, description, method, reference, amount_text(amount) as amount,
      amount_text(balance) as balance
  ) as entry
),
period as (
  select
    :starts_on as "from", (select today from account) as "to",
    amount_text(sum(amount) filter (where kind = 'INVOICE')) as invoiced,
    amount_text(-sum(change) filter (where kind in ('CREDIT_NOTE', 'CREDIT_NOTE_REVERSAL'))) as credited,
    amount_text(-sum(change) filter (where kind in ('DISCOUNT', 'DISCOUNT_REVERSAL'))) as discounted,
    amount_text(-sum(change) filter (where kind in ('WRITE_OFF', 'WRITE_OFF_REVERSAL'))) as written_off,
    amount_text(sum(amount) filter (where kind = 'PAYMENT')) as paid,
    amount_text(sum(amount) filter (where kind = 'REFUND')) as refunded,
    amount_text(sum(amount) filter (where kind = 'VOID')) as voided
  from account
  join entries_until_then on happened_at >= account.opened_at
),
opening as (
  select amount_text(sum(change)) as balance
  from account
  join entries_until_then on happened_at < account.opened_at
),
payers_of_student as (
  -- Whose payers they are has no history, but their money has.
  select
    payers.id as payer_id, name,
    (
      select amount_text(sum(change))
      from receipt_entries
      where receipt_entries.payer_id = payers.id and receipt_entries.school_id = student_payers.school_id
        and (:tenant::uuid is null or receipt_entries.school_id = :tenant)
        and happened_at <= account.as_of
    ) as unallocated
  from account
  join student_payers on student_payers.student_id = account.id and student_payers.school_id = account.school_id
    and (:tenant::uuid is null or student_payers.school_id = :tenant)
  join payers on payers.id = student_payers.payer_id and payers.school_id = student_payers.school_id
    and (:tenant::uuid is null or payers.school_id = :tenant)
),
statement as (
  select
    account.id as student_id, school_id, currency, instant_text(as_of) as as_of, today as as_of_date, totals, ageing,
    oldest_due_date,
    (select coalesce(json_agg(payers_of_student order by name, payer_id), '[]') from payers_of_student) as payers,
    coalesce(invoices, '[]') as invoices
  from account
  cross join totals
  cross join lines
),
statement_of_period as (
  select
    student_id, school_id, currency, as_of, as_of_date, totals, ageing, oldest_due_date, payers, invoices,
    opening.balance as opening_balance, (totals).balance_due_total as closing_balance, period, entries.entries
  from statement
  cross join opening
  cross join period
  cross join entries
)
select
  case
    when account.opened_at > account.as_of then ''
    when :starts_on is null and :ends_on is null then (select to_json(statement)::text from statement)
    else (select to_json(statement_of_period)::text from statement_of_period)
  end as document,
  null::uuid as next_after
from account
