-- A school's statement as of now, as one JSON document, and behind which invoice the next page of its lines begins:
-- a row, or none where there is no such school or it is not the tenant's.
--
-- The totals of every student come from one scan of the school's invoices with the totals that those keep, and the
-- school's totals are their sums, so nothing is left out and nothing can disagree. Only the lines are a page. For a
-- past moment or a period see school_as_of.sql. Money is cast to text, because JSON's numbers are floats to most
-- who read them.
-- On Citus: routed to the school's shard.
with school as (
  select id, currency, now() as as_of, (now() at time zone time_zone)::date as today
  from schools
  where id = :school_id
    and (:tenant::uuid is null or id = :tenant)
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
    sum(balance_due) filter (where due_date < school.today) as overdue_total,
    sum(balance_due) filter (where school.today - due_date <= 0) as current,
    sum(balance_due) filter (where school.today - due_date between 1 and 30) as days_1_30,
    sum(balance_due) filter (where school.today - due_date between 31 and 60) as days_31_60,
    sum(balance_due) filter (where school.today - due_date between 61 and 90) as days_61_90,
    sum(balance_due) filter (where school.today - due_date > 90) as days_over_90,
    min(due_date) filter (where balance_due > 0) as oldest_due_date
  from school
  join invoices on invoices.school_id = school.id and invoices.school_id = :school_id
  where status <> 'VOID'
    -- One that is dated ahead is not on the account before its day.
    and issued_at <= school.as_of
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
  from school
  join students on students.school_id = school.id and students.school_id = :school_id
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
    invoices.id,
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
  from invoices
  -- By the parameter, not by a join, so that the planner walks the index on (school_id, id) from :after on.
  where invoices.school_id = :school_id
    and invoices.id > :after
    and invoices.issued_at <= now()
    and exists (select from school)
  order by invoices.id
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
statement as (
  select
    school.id as school_id,
    school.currency,
    school.today as as_of_date,
    (select count(*) from student_totals) as students_count,
    totals,
    ageing,
    (select min(oldest_due_date) from invoiced) as oldest_due_date,
    (
      select coalesce(json_agg(student_totals order by student_totals.full_name, student_totals.student_id), '[]')
      from student_totals
    ) as students,
    (select coalesce(json_agg(lines order by lines.id), '[]') from lines) as invoices
  from school
  cross join totals
  cross join ageing
)
select
  to_json(statement)::text as document,
  case
    when (select count(*) from fetched_lines) > :limit
    then (select lines.id from lines order by lines.id desc limit 1)
  end as next_after
from statement
