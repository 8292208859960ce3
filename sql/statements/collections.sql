-- What a school invoiced and collected by day, week, month or method, as one JSON document: one row, or none if there
-- is no such school or it is not the tenant's. The document is empty if there are no rows, because the period begins
-- after its end, or if there are more than :most.
--
-- This is the school's cash book: money belongs to the day on which it moved, even if its invoice was voided later, so
-- that a month agrees with the bank's. Receipts are money, and what they pay on invoices is not: it moves no money. A
-- receipt that is reversed goes back on the day of its reversal, by the method by which it came. An invoice belongs to
-- the day of its issue; one that is void now is left out. Both are found along an index by time and summed by steps of
-- the school's calendar. A step is cut if the period begins or ends in it, and is a row of zeros if nothing happened.
-- By method the whole period is one step; an invoice has no method, so the rate of a method is its share of all that
-- was invoiced.
with school as (
  select
    id, currency, time_zone,
    coalesce(
      :starts_on::date,
      date_trunc('month', coalesce(:ends_on::date::timestamp, now() at time zone time_zone))::date
    ) as starts_on,
    coalesce(:ends_on, (now() at time zone time_zone)::date) as ends_on
  from schools
  where id = :school_id
    and (:tenant::uuid is null or id = :tenant)
),
period as (
  select
    id, currency, time_zone, starts_on, ends_on,
    start_of_day(starts_on, time_zone) as opens_at,
    end_of_day(ends_on, time_zone) as closes_at,
    -- By method there is no unit, and the calendar below is empty.
    nullif(:step::text, 'method') as unit,
    case
      when starts_on > ends_on then 0
      when :step = 'day' then ends_on - starts_on + 1
      when :step = 'week'
      then (date_trunc('week', ends_on::timestamp)::date - date_trunc('week', starts_on::timestamp)::date) / 7 + 1
      when :step = 'month'
      then
        (extract(year from ends_on) * 12 + extract(month from ends_on)
          - extract(year from starts_on) * 12 - extract(month from starts_on))::int + 1
    end as steps_count
  from school
),
chosen as (
  select id, currency, time_zone, starts_on, ends_on, opens_at, closes_at, unit
  from period
  where coalesce(steps_count, 1) between 1 and :most::bigint
),
money as (
  select paid_at as moved_at, method, amount, kind = 'PAYMENT' as is_paid
  from payments
  where school_id = :school_id
    and receipt_id is null
  union all
  select received_at, method, amount, true
  from receipts
  where school_id = :school_id
  union all
  select refunded_at, method, amount, false
  from receipt_refunds
  where school_id = :school_id
  union all
  select reversed_at, method, amount, false
  from receipts
  where school_id = :school_id
    and reversed_at is not null
),
by_day as (
  select
    case when unit is not null then (issued_at at time zone time_zone)::date end as day, null as method,
    sum(total_amount) as invoiced, null::numeric as paid, null::numeric as refunded
  from chosen
  join invoices on invoices.school_id = :school_id and issued_at between opens_at and closes_at
  where voided_at is null
  group by day
  union all
  select
    case when unit is not null then (moved_at at time zone time_zone)::date end as day,
    method,
    null,
    coalesce(sum(amount) filter (where is_paid), 0.00),
    coalesce(sum(amount) filter (where not is_paid), 0.00)
  from chosen
  cross join money
  -- By subqueries, so that the planner walks the indexes by time.
  where moved_at between (select opens_at from chosen) and (select closes_at from chosen)
  group by day, method
),
sums as (
  select
    coalesce(sum(invoiced), 0.00) as invoiced, coalesce(sum(paid), 0.00) as paid,
    coalesce(sum(refunded), 0.00) as refunded, coalesce(sum(paid - refunded), 0.00) as net
  from by_day
),
calendar as (
  select
    first_day::date as step,
    greatest(first_day::date, starts_on) as starts_on,
    least((first_day + ('1 ' || unit)::interval)::date - 1, ends_on) as ends_on
  from chosen
  cross join generate_series(date_trunc(unit, starts_on::timestamp), ends_on::timestamp, ('1 ' || unit)::interval) as first_day
),
by_step as (
  -- If the clock is set back over midnight, a day may lie outside of the period; it is counted in its first or last step.
  select
    date_trunc(unit, least(greatest(day, starts_on), ends_on)::timestamp)::date as step,
    sum(invoiced) as invoiced, sum(paid) as paid, sum(refunded) as refunded
  from chosen
  cross join by_day
  group by step
),
collected as (
  select
    calendar.starts_on, calendar.ends_on, null as method, coalesce(invoiced, 0.00) as invoiced,
    coalesce(paid, 0.00) as paid, coalesce(refunded, 0.00) as refunded
  from calendar
  left join by_step using (step)
  union all
  select starts_on, ends_on, by_day.method, null, paid, refunded
  from chosen
  join by_day on unit is null and paid is not null
),
totals as (
  select
    invoiced::text, paid::text, refunded::text, net::text, round(net / nullif(invoiced, 0), 4)::text as collection_rate
  from sums
),
rows as (
  select coalesce(json_agg(part order by starts_on, collected.method), '[]') as rows
  from collected
  cross join lateral (
    select
      starts_on as "from", ends_on as "to", method, invoiced::text, paid::text, refunded::text,
      (paid - refunded)::text as net,
      round((paid - refunded) / nullif(coalesce(invoiced, (select invoiced from sums)), 0), 4)::text as collection_rate
  ) as part
),
collections as (
  select id as school_id, currency, starts_on as "from", ends_on as "to", :step as "by", totals, rows.rows
  from chosen
  cross join totals
  cross join rows
  where (select count(*) from collected) <= :most::bigint
)
select
  coalesce((select to_json(collections)::text from collections), '') as document,
  starts_on, ends_on,
  coalesce(steps_count, (select count(*) from collected)::int) as rows_count
from period
