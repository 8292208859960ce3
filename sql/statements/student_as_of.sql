-- A student's statement as of a moment, or over a period that ends with it, as one JSON document: a row, or none
-- where there is no such student or it is not the tenant's. The document is empty where the period begins after it.
--
-- What the invoices keep is true of now alone, so here every figure is summed from the movements by their dates: an
-- invoice counts from its issued_at on, a movement from its paid_at but not before its invoice, and from its
-- voided_at on an invoice counts for nothing, with all that was paid and refunded on it. The entries are the same
-- rows told one by one; whatever order a correction of dates leaves them in, none of an invoice's comes before it
-- or after its void. Money is cast to text, because JSON's numbers are floats to most who read them.
-- On Citus: routed to the school's shard where the caller is bound to one; else it asks every shard.
with student as (
  select
    students.id,
    students.school_id,
    schools.currency,
    schools.time_zone,
    -- The last moment of a day is the one before the next begins: days are not all of 24 hours.
    coalesce(
      :as_of::timestamptz,
      (coalesce(:as_of_date::date, :ends_on::date) + 1)::timestamp at time zone schools.time_zone
        - interval '1 microsecond',
      now()
    ) as as_of,
    coalesce(:starts_on::date::timestamp at time zone schools.time_zone, '-infinity') as opened_at
  from students
  join schools on schools.id = students.school_id
  where students.id = :student_id
    and (:tenant::uuid is null or students.school_id = :tenant)
),
account as (
  select
    id, school_id, currency, time_zone, as_of, opened_at,
    coalesce(:as_of_date, :ends_on, (as_of at time zone time_zone)::date) as today
  from student
),
issued as (
  select
    invoices.id, invoices.school_id, invoices.student_id, invoices.total_amount, invoices.issued_at,
    invoices.due_date, invoices.description, invoices.voided_at,
    case when invoices.voided_at is not null then greatest(invoices.voided_at, invoices.issued_at) end as void_from
  from account
  join invoices on invoices.student_id = account.id and invoices.school_id = account.school_id
    and (:tenant::uuid is null or invoices.school_id = :tenant)
  where invoices.issued_at <= account.as_of
),
moved as (
  select
    payments.id, payments.invoice_id, payments.kind, payments.amount, payments.method, payments.reference,
    dated.counts_from
  from account
  cross join issued
  join payments on payments.invoice_id = issued.id and payments.school_id = issued.school_id
    and (:tenant::uuid is null or payments.school_id = :tenant)
  -- least() passes over a null: one that is not void sets no end.
  cross join lateral (
    select greatest(least(payments.paid_at, issued.voided_at), issued.issued_at) as counts_from
  ) as dated
  where dated.counts_from <= account.as_of
),
sums as (
  select
    invoice_id,
    coalesce(sum(amount) filter (where kind = 'PAYMENT'), 0.00) as payments_total,
    coalesce(sum(amount) filter (where kind = 'REFUND'), 0.00) as refunds_total
  from moved
  group by invoice_id
),
summed as (
  select
    issued.id,
    coalesce(sums.payments_total, 0.00) as payments_total,
    coalesce(sums.refunds_total, 0.00) as refunds_total,
    coalesce(sums.payments_total - sums.refunds_total, 0.00) as paid_total,
    coalesce(issued.void_from <= account.as_of, false) as is_void
  from account
  cross join issued
  left join sums on sums.invoice_id = issued.id
),
student_invoices as (
  select
    issued.id, issued.student_id, issued.total_amount, issued.issued_at, issued.due_date, issued.description,
    summed.payments_total, summed.refunds_total, summed.paid_total,
    case when summed.is_void then 0.00 else issued.total_amount - summed.paid_total end as balance_due,
    case
      when summed.is_void then 'VOID'
      -- Below nothing where a refund is dated before the payment that it gives back.
      when summed.paid_total <= 0 then 'PENDING'
      when summed.paid_total < issued.total_amount then 'PARTIAL'
      else 'PAID'
    end as status,
    account.today - issued.due_date as days_past_due
  from account
  cross join issued
  join summed on summed.id = issued.id
),
totals as (
  select
    coalesce(sum(total_amount), 0.00)::text as invoiced_total,
    coalesce(sum(payments_total), 0.00)::text as payments_total,
    coalesce(sum(refunds_total), 0.00)::text as refunds_total,
    coalesce(sum(paid_total), 0.00)::text as paid_total,
    coalesce(sum(balance_due), 0.00)::text as balance_due_total,
    coalesce(sum(balance_due) filter (where days_past_due > 0), 0.00)::text as overdue_total
  from student_invoices
  where status <> 'VOID'
),
ageing as (
  select
    coalesce(sum(balance_due) filter (where days_past_due <= 0), 0.00)::text as current,
    coalesce(sum(balance_due) filter (where days_past_due between 1 and 30), 0.00)::text as days_1_30,
    coalesce(sum(balance_due) filter (where days_past_due between 31 and 60), 0.00)::text as days_31_60,
    coalesce(sum(balance_due) filter (where days_past_due between 61 and 90), 0.00)::text as days_61_90,
    coalesce(sum(balance_due) filter (where days_past_due > 90), 0.00)::text as days_over_90
  from student_invoices
),
lines as (
  select
    id,
    student_id,
    total_amount::text as total_amount,
    to_char(issued_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as issued_at,
    due_date,
    description,
    payments_total::text as payments_total,
    refunds_total::text as refunds_total,
    paid_total::text as paid_total,
    balance_due::text as balance_due,
    status
  from student_invoices
),
changes as (
  select
    issued_at as happened_at, 'INVOICE' as kind, 1 as turn, id, id as invoice_id, null::uuid as payment_id,
    description, null::text as method, null::text as reference, total_amount as amount, total_amount as change
  from issued
  union all
  select
    counts_from, kind, 2, id, invoice_id, id, null, method, reference, amount,
    case kind when 'PAYMENT' then -amount else amount end
  from moved
  union all
  -- Nothing is paid on an invoice when it is voided (a check sees to that), so the whole of it goes.
  select issued.void_from, 'VOID', 3, issued.id, issued.id, null, issued.description, null, null,
    issued.total_amount, -issued.total_amount
  from account
  cross join issued
  where issued.void_from <= account.as_of
),
running as (
  -- From the first change on, whatever the period: each balance is of all that came before.
  select
    happened_at, kind, turn, id, invoice_id, payment_id, description, method, reference, amount, change,
    sum(change) over (order by happened_at, turn, id rows unbounded preceding) as balance
  from changes
),
in_period as (
  select
    running.happened_at, running.kind, running.turn, running.id, running.invoice_id, running.payment_id,
    running.description, running.method, running.reference, running.amount, running.balance,
    (running.happened_at at time zone account.time_zone)::date as date
  from account
  join running on running.happened_at >= account.opened_at
),
entries as (
  select
    coalesce(
      json_agg(entry order by in_period.happened_at, in_period.turn, in_period.id), '[]'
    ) as entries
  from in_period
  cross join lateral (
    select
      in_period.date,
      to_char(in_period.happened_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as happened_at,
      in_period.kind,
      in_period.invoice_id,
      in_period.payment_id,
      in_period.description,
      in_period.method,
      in_period.reference,
      in_period.amount::text as amount,
      in_period.balance::text as balance
  ) as entry
),
period as (
  select
    :starts_on as "from",
    (select today from account) as "to",
    coalesce(sum(amount) filter (where kind = 'INVOICE'), 0.00)::text as invoiced,
    coalesce(sum(amount) filter (where kind = 'PAYMENT'), 0.00)::text as paid,
    coalesce(sum(amount) filter (where kind = 'REFUND'), 0.00)::text as refunded,
    coalesce(sum(amount) filter (where kind = 'VOID'), 0.00)::text as voided
  from in_period
),
opening as (
  select coalesce(sum(running.change), 0.00)::text as balance
  from account
  join running on running.happened_at < account.opened_at
),
statement as (
  select
    account.id as student_id,
    account.school_id,
    account.currency,
    to_char(account.as_of at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as as_of,
    account.today as as_of_date,
    totals,
    ageing,
    (select min(due_date) from student_invoices where balance_due > 0) as oldest_due_date,
    (select coalesce(json_agg(lines order by lines.issued_at, lines.id), '[]') from lines) as invoices
  from account
  cross join totals
  cross join ageing
),
statement_of_period as (
  select
    student_id, school_id, currency, as_of, as_of_date, statement.totals, statement.ageing, oldest_due_date, invoices,
    opening.balance as opening_balance,
    (statement.totals).balance_due_total as closing_balance,
    period,
    entries.entries
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
