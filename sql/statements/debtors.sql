-- The students of a school who owe, the most overdue first, as one JSON array, and the debtor after whom the next page
-- begins: one row, or none if there is no such school or it is not the tenant's.
--
-- The order is by the oldest due date that is unpaid, then by the larger balance, then by id: total, and none of it
-- changes at midnight, as the days overdue do, so that a page goes on where the one before it ended. The balances of now
-- are those that the invoices keep; one scan of the school's invoices sums them. The balances of another moment are the
-- sums of the entries until then, as in school_as_of.sql. PostgreSQL runs only one of the two. Without :limit, all come.
with school as (
  select id, as_of, coalesce(:as_of_date, (as_of at time zone time_zone)::date) as today
  from schools
  cross join lateral (
    select coalesce(:as_of::timestamptz, end_of_day(:as_of_date::date, time_zone), now()) as as_of
  ) as moment
  where id = :school_id
    and (:tenant::uuid is null or id = :tenant)
),
past_balances as (
  select invoice_id, sum(change) as balance_due
  from account_entries
  where school_id = :school_id
    and num_nonnulls(:as_of::timestamptz, :as_of_date::date) > 0
    and issued_at <= (select as_of from school)
    and happened_at <= (select as_of from school)
  group by invoice_id
),
balances as (
  select student_id, balance_due, due_date
  from school
  join invoices on invoices.school_id = school.id and invoices.school_id = :school_id
  where num_nonnulls(:as_of::timestamptz, :as_of_date::date) = 0
    -- An invoice that is dated ahead is not owed before its day.
    and issued_at <= school.as_of
  union all
  select student_id, past_balances.balance_due, due_date
  from past_balances
  join invoices on invoices.id = past_balances.invoice_id and invoices.school_id = :school_id
),
open_invoices as (
  select student_id, balance_due, due_date, today, ageing_bucket(today - due_date) as bucket
  from school
  cross join balances
  where balance_due > 0
  -- OFFSET keeps the planner from computing the bucket again in each filter below.
  offset 0
),
owed as (
  select
    student_id,
    count(*) as invoices_count,
    sum(balance_due) as balance_due,
    sum(balance_due) filter (where bucket > 0) as overdue_total,
    sum(balance_due) filter (where bucket = 0) as bucket_0, sum(balance_due) filter (where bucket = 1) as bucket_1,
    sum(balance_due) filter (where bucket = 2) as bucket_2, sum(balance_due) filter (where bucket = 3) as bucket_3,
    sum(balance_due) filter (where bucket = 4) as bucket_4,
    min(due_date) as oldest_due_date,
    greatest(today - min(due_date), 0) as days_overdue
  from open_invoices
  group by student_id, today
),
fetched as (
  -- One more than the page holds shows whether there is a next page.
  select
    student_id, invoices_count, balance_due, overdue_total, bucket_0, bucket_1, bucket_2, bucket_3, bucket_4,
    oldest_due_date, days_overdue,
    row_number() over (order by oldest_due_date, balance_due desc, student_id) as place
  from owed
  where days_overdue >= :min_overdue_days::bigint
    and balance_due >= :min_balance::numeric
    and (oldest_due_date, -balance_due, student_id) > (:after_due_date::date, -:after_balance::numeric, :after_id::uuid)
  order by place
  limit :limit::bigint + 1 offset :offset
),
page as (
  select place, debtor
  from school
  cross join fetched
  join students on students.id = fetched.student_id and students.school_id = school.id
    and students.school_id = :school_id
  cross join lateral (
    select
      student_id, full_name, external_id, amount_text(balance_due) as balance_due,
      amount_text(overdue_total) as overdue_total, oldest_due_date, days_overdue,
      ageing_of(bucket_0, bucket_1, bucket_2, bucket_3, bucket_4) as ageing, invoices_count
  ) as debtor
  order by place
  limit :limit
),
last as (
  select oldest_due_date, balance_due, student_id
  from fetched
  where (select count(*) from fetched) > :limit
  order by place limit 1 offset :limit - 1
)
select
  (select coalesce(json_agg(debtor order by place), '[]') from page)::text as document,
  last.oldest_due_date as next_due_date,
  last.balance_due as next_balance,
  last.student_id as next_id
from school
left join last on true
