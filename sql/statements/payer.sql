-- A payer's statement as of now, as one JSON document: one row, or none if there is no such payer or it is not the
-- tenant's. The totals, their ageing and the lines come from one scan of the payer's invoices with the totals that the
-- invoices keep, and the unallocated money from what the receipts keep. For a past moment or a period see
-- payer_as_of.sql.
with payer as (
  select payers.id, school_id, currency, now() as as_of, (now() at time zone time_zone)::date as today
  from payers
  join schools on schools.id = payers.school_id and (:tenant::uuid is null or schools.id = :tenant)
  where payers.id = :payer_id
    and (:tenant::uuid is null or payers.school_id = :tenant)
),
payer_invoices as (
  select
    invoices.id, student_id, total_amount, issued_at, due_date, description, credited_total, discounted_total,
    written_off_total, payments_total, refunds_total, balance_due, status, ageing_bucket(payer.today - due_date) as bucket
  from payer
  join invoices on invoices.payer_id = payer.id and invoices.school_id = payer.school_id
    and (:tenant::uuid is null or invoices.school_id = :tenant)
  -- An invoice that is dated ahead is not on the account before its day.
  where issued_at <= payer.as_of
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
    min(due_date) filter (where balance_due > 0) as oldest_due_date,
    coalesce(sum(balance_due), 0.00) as balance_due
  from payer_invoices
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
  from payer_invoices
),
students_of_payer as (
  select students.id as student_id, full_name, external_id
  from payer
  join students on students.school_id = payer.school_id and (:tenant::uuid is null or students.school_id = :tenant)
  where students.id in (select student_id from payer_invoices)
),
credit as (
  select coalesce(sum(unallocated), 0.00) as unallocated
  from payer
  join receipts on receipts.payer_id = payer.id and receipts.school_id = payer.school_id
    and (:tenant::uuid is null or receipts.school_id = :tenant)
  where unallocated > 0
),
statement as (
  select
    payer.id as payer_id, school_id, currency, payer.today as as_of_date, totals, ageing, oldest_due_date,
    amount_text(unallocated) as unallocated, amount_text(balance_due - unallocated) as balance,
    (select coalesce(json_agg(students_of_payer order by full_name, student_id), '[]') from students_of_payer) as students,
    coalesce(invoices, '[]') as invoices
  from payer
  cross join totals
  cross join lines
  cross join credit
)
select to_json(statement)::text as document, null::uuid as next_after
from statement
