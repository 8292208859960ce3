-- A student's statement as of now, as one JSON document: a row, or none where there is no such student or it is not
-- the tenant's. The totals, their ageing and the lines come from one scan of the student's invoices with the totals
-- that those keep, so they cannot disagree. For a past moment or a period see student_as_of.sql.
-- Money is cast to text, because JSON's numbers are floats to most who read them.
-- On Citus: routed to the school's shard where the caller is bound to one; else it asks every shard.
with student as (
  select
    students.id,
    students.school_id,
    schools.currency,
    now() as as_of,
    (now() at time zone schools.time_zone)::date as today
  from students
  join schools on schools.id = students.school_id
  where students.id = :student_id
    and (:tenant::uuid is null or students.school_id = :tenant)
),
student_invoices as (
  select
    invoices.id, student_id, total_amount, issued_at, due_date, description, payments_total, refunds_total,
    paid_total, balance_due, status,
    student.today - due_date as days_past_due
  from student
  join invoices on invoices.student_id = student.id and invoices.school_id = student.school_id
    and (:tenant::uuid is null or invoices.school_id = :tenant)
  -- One that is dated ahead is not on the account before its day.
  where invoices.issued_at <= student.as_of
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
-- A void invoice has a balance of nothing, so here it needs no exception.
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
statement as (
  select
    student.id as student_id,
    student.school_id,
    student.currency,
    student.today as as_of_date,
    totals,
    ageing,
    (select min(due_date) from student_invoices where balance_due > 0) as oldest_due_date,
    (select coalesce(json_agg(lines order by lines.issued_at, lines.id), '[]') from lines) as invoices
  from student
  cross join totals
  cross join ageing
)
select
  to_json(statement)::text as document,
  null::uuid as next_after
from statement
