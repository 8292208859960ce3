-- A school's statement as of now, as one JSON document, and the invoice after which the next page of its lines begins: one
-- row, or none if there is no such school or it is not the tenant's.
--
-- Every sum of invoices comes from one scan of them with the totals that they keep, so nothing is left out and the sums
-- agree. What the receipts do not pay yet is what they keep. Only the lines are a page. For a past moment or a period
-- see school_as_of.sql.
with school as (
  select id, currency, now() as as_of, (now() at time zone time_zone)::date as today
  from schools
  where id = :school_id
    and (:tenant::uuid is null or id = :tenant)
),
school_invoices as (
  select
    student_id, total_amount, credited_total, discounted_total, written_off_total, payments_total, refunds_total,
    balance_due, due_date, status,
    ageing_bucket(school.today - due_date) as bucket
  from school
  join invoices on invoices.school_id = school.id and invoices.school_id = :school_id
  -- An invoice that is dated ahead is not on the account before its day.
  where issued_at <= school.as_of
  -- OFFSET keeps the planner from computing the bucket again in each filter below.
  offset 0
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
  from school
  join students on students.school_id = school.id and students.school_id = :school_id
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
    amount_text(sum(unallocated) filter (where payer_id is not null)) as unallocated_total,
    amount_text(sum(unallocated) filter (where payer_id is null)) as unidentified_total
  from receipts
  where school_id = :school_id
    and unallocated > 0
    and exists (select 1 from school)
),
fetched as (
  -- One more than the page holds shows whether there is a next page.
  select
    id,
    statement_line_of(
      id, student_id, total_amount, issued_at, due_date, description, credited_total, discounted_total,
      written_off_total, payments_total, refunds_total, balance_due, status
    ) as line
  from invoices
  -- By the parameter, not by a join, so that the planner walks the index on (school_id, id) from :after on.
  where school_id = :school_id
    and id > :after
    and issued_at <= now()
    and exists (select 1 from school)
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
    school.id as school_id, currency, today as as_of_date,
    (select count(*) from student_totals) as students_count,
    totals, ageing, oldest_due_date,
    (select coalesce(json_agg(student_totals order by full_name, student_id), '[]') from student_totals) as students,
    (select coalesce(json_agg(line order by id), '[]') from page) as invoices
  from school
  cross join invoice_totals
  cross join lateral (
    select
      (sums).invoiced_total, (sums).credited_total, (sums).discounted_total, (sums).written_off_total,
      (sums).payments_total, (sums).refunds_total, (sums).paid_total, (sums).balance_due_total,
      (sums).overdue_total, unallocated_total, unidentified_total
    from credit
  ) as totals
)
select
  to_json(statement)::text as document,
  case when (select count(*) from fetched) > :limit then (select id from page order by id desc limit 1) end as next_after
from statement
