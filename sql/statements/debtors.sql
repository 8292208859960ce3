-- The students of a school who owe, the most overdue first, as one JSON array, and behind which debtor the next page
-- begins: a row, or none where there is no such school or it is not the tenant's.
--
-- The order is by the oldest due date that is unpaid, then by the larger balance, then by id: total, and none of it
-- changes at midnight, as the days overdue do, so that a page goes on where the one before it ended. The balances
-- are those that the invoices keep; one scan of the school's invoices sums them.
-- On Citus: routed to the school's shard.
with school as (
  select id, now() as as_of, (now() at time zone time_zone)::date as today
  from schools
  where id = :school_id
    and (:tenant::uuid is null or id = :tenant)
),
owed as (
  select
    invoices.student_id,
    school.today,
    count(*) as invoices_count,
    sum(balance_due) as balance_due,
    sum(balance_due) filter (where due_date < school.today) as overdue_total,
    sum(balance_due) filter (where school.today - due_date <= 0) as current,
    sum(balance_due) filter (where school.today - due_date between 1 and 30) as days_1_30,
    sum(balance_due) filter (where school.today - due_date between 31 and 60) as days_31_60,
    sum(balance_due) filter (where school.today - due_date between 61 and 90) as days_61_90,
    sum(balance_due) filter (where school.today - due_date > 90) as days_over_90,
    min(due_date) as oldest_due_date,
    greatest(school.today - min(due_date), 0) as days_overdue
  from school
  join invoices on invoices.school_id = school.id and invoices.school_id = :school_id
  where invoices.balance_due > 0
    -- One that is dated ahead is not owed before its day.
    and invoices.issued_at <= school.as_of
  group by invoices.student_id, school.today
),
fetched as (
  -- One more than the page holds, which tells whether there is a next page.
  select
    student_id, invoices_count, balance_due, overdue_total, current, days_1_30, days_31_60, days_61_90, days_over_90,
    oldest_due_date, days_overdue,
    row_number() over (order by oldest_due_date, balance_due desc, student_id) as place
  from owed
  where days_overdue >= :min_overdue_days::bigint
    and balance_due >= :min_balance::numeric
    and (oldest_due_date, -balance_due, student_id) > (:after_due_date::date, -:after_balance::numeric, :after_id::uuid)
  order by place
  limit :limit::bigint + 1 offset :offset
),
named as (
  select fetched.place, debtor
  from school
  cross join fetched
  join students on students.id = fetched.student_id and students.school_id = school.id
    and students.school_id = :school_id
  cross join lateral (
    select
      coalesce(fetched.current, 0.00)::text as current,
      coalesce(fetched.days_1_30, 0.00)::text as days_1_30,
      coalesce(fetched.days_31_60, 0.00)::text as days_31_60,
      coalesce(fetched.days_61_90, 0.00)::text as days_61_90,
      coalesce(fetched.days_over_90, 0.00)::text as days_over_90
  ) as ageing
  cross join lateral (
    select
      students.id as student_id,
      students.full_name,
      students.external_id,
      fetched.balance_due::text as balance_due,
      coalesce(fetched.overdue_total, 0.00)::text as overdue_total,
      fetched.oldest_due_date,
      fetched.days_overdue,
      ageing,
      fetched.invoices_count
  ) as debtor
  order by fetched.place
  limit :limit
),
last as (
  select oldest_due_date, balance_due, student_id
  from fetched
  where (select count(*) from fetched) > :limit
  order by place
  limit 1 offset :limit - 1
)
select
  (select coalesce(json_agg(debtor order by place), '[]') from named)::text as document,
  last.oldest_due_date as next_due_date,
  last.balance_due as next_balance,
  last.student_id as next_id
from school
left join last on true
