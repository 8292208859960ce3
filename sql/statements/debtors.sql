-- The students of a school who owe, or its payers if :by is "payer", as one JSON array, and the debtor after whom the
-- next page begins: one row, or none if there is no such school or it is not the tenant's.
--
-- Payers owe the invoices that name them. Their unallocated money stands beside what they owe.
--
-- The oldest unpaid due date comes first, then the larger balance, then the id. Days overdue would change at midnight,
-- between two pages; this order does not. The balances of now
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
  select student_id, payer_id, balance_due, due_date
  from school
  join invoices on invoices.school_id = school.id and invoices.school_id = :school_id
  where num_nonnulls(:as_of::timestamptz, :as_of_date::date) = 0
    -- An invoice that is dated ahead is not owed before its day.
    and issued_at <= school.as_of
  union all
  select student_id, payer_id, past_balances.balance_due, due_date
  from past_balances
  join invoices on invoices.id = past_balances.invoice_id and invoices.school_id = :school_id
),
open_invoices as (
  select debtor_id, balance_due, due_date, today, ageing_bucket(today - due_date) as bucket
  from school
  cross join balances
  cross join lateral (select case when :by::text = 'payer' then payer_id else student_id end as debtor_id) as owner
  where balance_due > 0
    and debtor_id is not null
  -- OFFSET keeps the planner from computing the bucket again in each filter below.
  offset 0
),
owed as (
  select
    debtor_id,
    count(*) as invoices_count,
    sum(balance_due) as balance_due,
    sum(balance_due) filter (where bucket > 0) as overdue_total,
    sum(balance_due) filter (where bucket = 0) as bucket_0, sum(balance_due) filter (where bucket = 1) as bucket_1,
    sum(balance_due) filter (where bucket = 2) as bucket_2, sum(balance_due) filter (where bucket = 3) as bucket_3,
    sum(balance_due) filter (where bucket = 4) as bucket_4,
    min(due_date) as oldest_due_date,
    greatest(today - min(due_date), 0) as days_overdue
  from open_invoices
  group by debtor_id, today
),
fetched as (
  -- One more than the page holds shows whether there is a next page.
  select
    debtor_id, invoices_count, balance_due, overdue_total, bucket_0, bucket_1, bucket_2, bucket_3, bucket_4,
    oldest_due_date, days_overdue,
    row_number() over (order by oldest_due_date, balance_due desc, debtor_id) as place
  from owed
  where days_overdue >= :min_overdue_days::bigint
    and balance_due >= :min_balance::numeric
    and (oldest_due_date, -balance_due, debtor_id) > (:after_due_date::date, -:after_balance::numeric, :after_id::uuid)
  order by place
  limit :limit::bigint + 1 offset :offset
),
credits as (
  select payer_id, sum(unallocated) as unallocated
  from receipts
  where school_id = :school_id
    and :by = 'payer'
    and num_nonnulls(:as_of::timestamptz, :as_of_date::date) = 0
    and unallocated > 0
  group by payer_id
  union all
  select payer_id, sum(change)
  from receipt_entries
  where school_id = :school_id
    and :by = 'payer'
    and num_nonnulls(:as_of::timestamptz, :as_of_date::date) > 0
    and happened_at <= (select as_of from school)
  group by payer_id
),
figures as (
  select
    place, debtor_id, amount_text(balance_due) as balance_due, amount_text(overdue_total) as overdue_total,
    oldest_due_date, days_overdue, ageing_of(bucket_0, bucket_1, bucket_2, bucket_3, bucket_4) as ageing, invoices_count
  from fetched
  order by place
  limit :limit
),
page as (
  select place, to_json(debtor) as debtor
  from figures
  join students on students.id = figures.debtor_id and students.school_id = :school_id
  cross join lateral (
    select
      debtor_id as student_id, full_name, external_id, balance_due, overdue_total, oldest_due_date, days_overdue, ageing,
      invoices_count
  ) as debtor
  where :by = 'student'
  union all
  select place, to_json(debtor)
  from figures
  join payers on payers.id = figures.debtor_id and payers.school_id = :school_id
  left join credits on credits.payer_id = payers.id
  cross join lateral (
    select
      debtor_id as payer_id, name, external_id, balance_due, amount_text(unallocated) as unallocated, overdue_total,
      oldest_due_date, days_overdue, ageing, invoices_count
  ) as debtor
  where :by = 'payer'
),
last as (
  select oldest_due_date, balance_due, debtor_id
  from fetched
  where (select count(*) from fetched) > :limit
  order by place limit 1 offset :limit - 1
)
select
  (select coalesce(json_agg(debtor order by place), '[]') from page)::text as document,
  last.oldest_due_date as next_due_date,
  last.balance_due as next_balance,
  last.debtor_id as next_id
from school
left join last on true
