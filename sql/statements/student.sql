-- A student's statement as one JSON document: a row, or none where there is no such student or it is not the
-- tenant's. The totals and the lines come from one scan of the student's invoices, so they cannot disagree.
-- Money is cast to text, because JSON's numbers are floats to most who read them.
with student as (
  select
    students.id,
    students.school_id,
    schools.currency,
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
    due_date < student.today as is_past_due
  from student
  join invoices on invoices.student_id = student.id and invoices.school_id = student.school_id
),
totals as (
  select
    coalesce(sum(total_amount), 0.00)::text as invoiced_total,
    coalesce(sum(payments_total), 0.00)::text as payments_total,
    coalesce(sum(refunds_total), 0.00)::text as refunds_total,
    coalesce(sum(paid_total), 0.00)::text as paid_total,
    coalesce(sum(balance_due), 0.00)::text as balance_due_total,
    coalesce(sum(balance_due) filter (where is_past_due), 0.00)::text as overdue_total
  from student_invoices
  where status <> 'VOID'
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
    totals,
    (select coalesce(json_agg(lines order by lines.issued_at, lines.id), '[]') from lines) as invoices
  from student
  cross join totals
)
select
  to_json(statement)::text as document,
  null::uuid as next_after
from statement
