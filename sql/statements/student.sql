-- A student's statement as of now, as one JSON document: one row, or none if there is no such student or it is not
-- the tenant's. The totals, their ageing and the lines come from one scan of the student's invoices with the totals
-- that the invoices keep, so they cannot disagree. For a past moment or a period see student_as_of.sql.
with student as (
  select students.id, school_id, currency, now() as as_of, (now() at time zone time_zone)::date as today
  from students
  join schools on schools.id = students.school_id and (:tenant::uuid is null or schools.id = :tenant)
  where students.id = :student_id
    and (:tenant::uuid is null or students.school_id = :tenant)
),
student_invoices as (
  select
    invoices.id, student_id, total_amount, issued_at, due_date, description, credited_total, discounted_total,
    written_off_total, payments_total, refunds_total, balance_due, status, ageing_bucket(student.today - due_date) as bucket
  from student
  join invoices on invoices.student_id = student.id and invoices.school_id = student.school_id
    and (:tenant::uuid is null or invoices.school_id = :tenant)
  -- An invoice that is dated ahead is not on the account before its day.
  where issued_at <= student.as_of
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
payers_of_student as (
  select
    payers.id as payer_id, name,
    (
      select amount_text(sum(unallocated))
      from receipts
      where receipts.payer_id = payers.id and receipts.school_id = student_payers.school_id
        and unallocated > 0
        and (:tenant::uuid is null or receipts.school_id = :tenant)
    ) as unallocated
  from student
  join student_payers on student_payers.student_id = student.id and student_payers.school_id = student.school_id
    and (:tenant::uuid is null or student_payers.school_id = :tenant)
  join payers on payers.id = student_payers.payer_id and payers.school_id = student_payers.school_id
    and (:tenant::uuid is null or payers.school_id = :tenant)
),
statement as (
  select
    student.id as student_id, school_id, currency, student.today as as_of_date, totals, ageing, oldest_due_date,
    (select coalesce(json_agg(payers_of_student order by name, payer_id), '[]') from payers_of_student) as payers,
    coalesce(invoices, '[]') as invoices
  from student
  cross join totals
  cross join lines
)
select to_json(statement)::text as document, null::uuid as next_after
from statement
