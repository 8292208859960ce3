-- A school's statement as one JSON document, and behind which invoice the next page of its lines begins: a row,
-- or none where there is no such school or it is not the tenant's.
--
-- The totals of every student come from one scan of the school's invoices, and the school's totals are their
-- sums, so nothing is left out and nothing can disagree. Only the lines are a page. Money is cast to text,
-- because JSON's numbers are floats to most who read them.
with school as (
  select id, currency, (now() at time zone time_zone)::date as today
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
    sum(balance_due) filter (where due_date < school.today) as overdue_total
  from school
  join invoices on invoices.school_id = school.id
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
    coalesce(invoices_count, 0) as invoices_count
  from school
  join students on students.school_id = school.id
  left join invoiced on invoiced.student_id = students.id
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
    (select count(*) from student_totals) as students_count,
    totals,
    (
      select coalesce(json_agg(student_totals order by student_totals.full_name, student_totals.student_id), '[]')
      from student_totals
    ) as students,
    (select coalesce(json_agg(lines order by lines.id), '[]') from lines) as invoices
  from school
  cross join totals
)
select
  to_json(statement)::text as document,
  case
    when (select count(*) from fetched_lines) > :limit
    then (select lines.id from lines order by lines.id desc limit 1)
  end as next_after
from statement
