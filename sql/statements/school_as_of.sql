-- A school's statement as of a moment, or over a period that ends with it, as one JSON document, and behind which
-- invoice the next page of its lines begins: a row, or none where there is no such school or it is not the
-- tenant's. The document is empty where the period begins after the moment.
--
-- Every figure is summed from the movements by their dates, by the rules that student_as_of.sql states, in one scan
-- of the school's invoices and one of its movements. The sums of the period are taken from the changes, the totals
-- from the invoices: that they meet is no accident of one being made of the other. Money is cast to text, because
-- JSON's numbers are floats to most who read them.
-- On Citus: routed to the school's shard.
with school as (
  select
    id,
    currency,
    time_zone,
    -- The last moment of a day is the one before the next begins: days are not all of 24 hours.
    coalesce(
      :as_of::timestamptz,
      (coalesce(:as_of_date::date, :ends_on::date) + 1)::timestamp at time zone time_zone - interval '1 microsecond',
      now()
    ) as as_of,
    coalesce(:starts_on::date::timestamp at time zone time_zone, '-infinity') as opened_at
  from schools
  where id = :school_id
    and (:tenant::uuid is null or id = :tenant)
),
account as (
  select
    id, currency, as_of, opened_at,
    coalesce(:as_of_date, :ends_on, (as_of at time zone time_zone)::date) as today
  from school
),
issued as materialized (
  select
    invoices.id, invoices.school_id, invoices.student_id, invoices.total_amount, invoices.issued_at,
    invoices.due_date, invoices.description, invoices.voided_at,
    case when invoices.voided_at is not null then greatest(invoices.voided_at, invoices.issued_at) end as void_from
  from account
  cross join invoices
  -- By the parameter, not by a join: the planner knows how many invoices and movements a school has, but not how
  -- many rows a CTE, and would look up each invoice's movements one by one.
  where invoices.school_id = :school_id
    and invoices.issued_at <= account.as_of
),
moved as materialized (
  select payments.invoice_id, payments.kind, payments.amount, dated.counts_from
  from account
  cross join payments
  join invoices on invoices.id = payments.invoice_id and invoices.school_id = payments.school_id
  -- least() passes over a null: one that is not void sets no end.
  cross join lateral (
    select greatest(least(payments.paid_at, invoices.voided_at), invoices.issued_at) as counts_from
  ) as dated
  where payments.school_id = :school_id
    and invoices.school_id = :school_id
    and dated.counts_from <= account.as_of
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
    issued.id, issued.student_id, issued.total_amount, issued.issued_at, issued.due_date, issued.description,
    coalesce(sums.payments_total, 0.00) as payments_total,
    coalesce(sums.refunds_total, 0.00) as refunds_total,
    coalesce(sums.payments_total - sums.refunds_total, 0.00) as paid_total,
    coalesce(issued.void_from <= account.as_of, false) as is_void,
    account.today - issued.due_date as days_past_due
  from account
  cross join issued
  left join sums on sums.invoice_id = issued.id
),
school_invoices as materialized (
  select
    id, student_id, total_amount, issued_at, due_date, description, payments_total, refunds_total, paid_total,
    case when is_void then 0.00 else total_amount - paid_total end as balance_due,
    case
      when is_void then 'VOID'
      -- Below nothing where a refund is dated before the payment that it gives back.
      when paid_total <= 0 then 'PENDING'
      when paid_total < total_amount then 'PARTIAL'
      else 'PAID'
    end as status,
    days_past_due
  from summed
),
invoiced as (
  select
    student_id,
    count(*) as invoices_count,
    sum(total_amount) as invoiced_total,
    sum(payments_total) as payments_total,
    sum(refunds_total) as refunds_total,
    sum(paid_total) as paid_total,
    sum(balance_due) as balance_due_total,
    sum(balance_due) filter (where days_past_due > 0) as overdue_total,
    sum(balance_due) filter (where days_past_due <= 0) as current,
    sum(balance_due) filter (where days_past_due between 1 and 30) as days_1_30,
    sum(balance_due) filter (where days_past_due between 31 and 60) as days_31_60,
    sum(balance_due) filter (where days_past_due between 61 and 90) as days_61_90,
    sum(balance_due) filter (where days_past_due > 90) as days_over_90,
    min(due_date) filter (where balance_due > 0) as oldest_due_date
  from school_invoices
  where status <> 'VOID'
  group by student_id
),
student_totals as (
  select
    coalesce(invoiced_total, 0.00)::text as invoiced_total,
    coalesce(payments_total, 0.00)::text as payments_total,
    coalesce(refunds_total, 0.00)::text as refunds_total,
    coalesce(paid_total, 0.00)::text as paid_total,
    coalesce(balance_due_total, 0.00)::text as balance_due_total,
    coalesce(overdue_total, 0.00)::text as overdue_total,
    students.id as student_id,
    students.full_name,
    coalesce(invoices_count, 0) as invoices_count,
    ageing,
    invoiced.oldest_due_date
  from account
  join students on students.school_id = account.id and students.school_id = :school_id
  left join invoiced on invoiced.student_id = students.id
  cross join lateral (
    select
      coalesce(invoiced.current, 0.00)::text as current,
      coalesce(invoiced.days_1_30, 0.00)::text as days_1_30,
      coalesce(invoiced.days_31_60, 0.00)::text as days_31_60,
      coalesce(invoiced.days_61_90, 0.00)::text as days_61_90,
      coalesce(invoiced.days_over_90, 0.00)::text as days_over_90
  ) as ageing
),
totals as (
  select
    coalesce(sum(invoiced_total), 0.00)::text as invoiced_total,
    coalesce(sum(payments_total), 0.00)::text as payments_total,
    coalesce(sum(refunds_total), 0.00)::text as refunds_total,
    coalesce(sum(paid_total), 0.00)::text as paid_total,
    coalesce(sum(balance_due_total), 0.00)::text as balance_due_total,
    coalesce(sum(overdue_total), 0.00)::text as overdue_total
  from invoiced
),
ageing as (
  select
    coalesce(sum(current), 0.00)::text as current,
    coalesce(sum(days_1_30), 0.00)::text as days_1_30,
    coalesce(sum(days_31_60), 0.00)::text as days_31_60,
    coalesce(sum(days_61_90), 0.00)::text as days_61_90,
    coalesce(sum(days_over_90), 0.00)::text as days_over_90
  from invoiced
),
fetched_lines as (
  -- One more than the page holds, which tells whether there is a next page.
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
  from school_invoices
  where id > :after
  order by id
  limit :limit::bigint + 1 offset :offset
),
lines as (
  select
    id, student_id, total_amount, issued_at, due_date, description, payments_total, refunds_total, paid_total,
    balance_due, status
  from fetched_lines
  order by id
  limit :limit
),
changes as (
  select issued_at as happened_at, 'INVOICE' as kind, total_amount as amount, total_amount as change
  from issued
  union all
  select counts_from, kind, amount, case kind when 'PAYMENT' then -amount else amount end
  from moved
  union all
  -- Nothing is paid on an invoice when it is voided (a check sees to that), so the whole of it goes.
  select issued.void_from, 'VOID', issued.total_amount, -issued.total_amount
  from account
  cross join issued
  where issued.void_from <= account.as_of
),
account_changes as (
  select
    coalesce(sum(change) filter (where happened_at < account.opened_at), 0.00) as opening_balance,
    coalesce(sum(amount) filter (where kind = 'INVOICE' and happened_at >= account.opened_at), 0.00) as invoiced,
    coalesce(sum(amount) filter (where kind = 'PAYMENT' and happened_at >= account.opened_at), 0.00) as paid,
    coalesce(sum(amount) filter (where kind = 'REFUND' and happened_at >= account.opened_at), 0.00) as refunded,
    coalesce(sum(amount) filter (where kind = 'VOID' and happened_at >= account.opened_at), 0.00) as voided
  from account
  cross join changes
),
period as (
  select
    :starts_on as "from",
    (select today from account) as "to",
    invoiced::text as invoiced,
    paid::text as paid,
    refunded::text as refunded,
    voided::text as voided
  from account_changes
),
statement as (
  select
    account.id as school_id,
    account.currency,
    to_char(account.as_of at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as as_of,
    account.today as as_of_date,
    (select count(*) from student_totals) as students_count,
    totals,
    ageing,
    (select min(oldest_due_date) from invoiced) as oldest_due_date,
    (
      select coalesce(json_agg(student_totals order by student_totals.full_name, student_totals.student_id), '[]')
      from student_totals
    ) as students,
    (select coalesce(json_agg(lines order by lines.id), '[]') from lines) as invoices
  from account
  cross join totals
  cross join ageing
),
statement_of_period as (
  select
    school_id, currency, as_of, as_of_date, students_count, statement.totals, statement.ageing, oldest_due_date,
    students, invoices,
    (select opening_balance::text from account_changes) as opening_balance,
    (statement.totals).balance_due_total as closing_balance,
    period
  from statement
  cross join period
)
select
  case
    when account.opened_at > account.as_of then ''
    when :starts_on is null and :ends_on is null then (select to_json(statement)::text from statement)
    else (select to_json(statement_of_period)::text from statement_of_period)
  end as document,
  case
    when (select count(*) from fetched_lines) > :limit
    then (select lines.id from lines order by lines.id desc limit 1)
  end as next_after
from account
