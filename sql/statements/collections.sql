-- What a school invoiced and collected by day, week or month, as one JSON document: a row, or none where there is no
-- such school or it is not the tenant's. The document is empty where there are no rows, because the period begins
-- after its end, or more than :most.
--
-- This is the school's cash book: a movement belongs to the day on which the money moved, whatever became of its
-- invoice, so that a month agrees with the bank's. An invoice belongs to the day of its issue; one that is void now
-- is left out. Each of the two is aggregated by the local day of the school along an index by time, and then laid
-- onto the calendar, where steps without a row are zeros. A step is cut where the period begins or ends in it.
-- On Citus: routed to the school's shard.
with school as (
  select
    id,
    currency,
    time_zone,
    coalesce(
      :starts_on::date,
      date_trunc('month', coalesce(:ends_on::date::timestamp, now() at time zone time_zone))::date
    ) as starts_on,
    coalesce(:ends_on, (now() at time zone time_zone)::date) as ends_on
  from schools
  where id = :school_id
    and (:tenant::uuid is null or id = :tenant)
),
bounds as (
  select
    id, currency, time_zone, starts_on, ends_on,
    starts_on::timestamp at time zone time_zone as opens_at,
    (ends_on + 1)::timestamp at time zone time_zone as closes_at,
    case
      when starts_on > ends_on then 0
      when :step::text = 'day' then ends_on - starts_on + 1
      when :step = 'week'
      then (date_trunc('week', ends_on::timestamp)::date - date_trunc('week', starts_on::timestamp)::date) / 7 + 1
      else
        (extract(year from ends_on) * 12 + extract(month from ends_on)
          - extract(year from starts_on) * 12 - extract(month from starts_on))::int + 1
    end as rows_count
  from school
),
wanted as (
  select id, currency, time_zone, starts_on, ends_on, opens_at, closes_at
  from bounds
  where rows_count between 1 and :most::bigint
),
issued as (
  select
    -- The two clamps are for a clock that is set back over midnight: what happens then, no row may lose.
    date_trunc(
      :step,
      least(greatest((invoices.issued_at at time zone wanted.time_zone)::date, wanted.starts_on), wanted.ends_on)::timestamp
    )::date as step,
    sum(invoices.total_amount) as invoiced
  from wanted
  join invoices on invoices.school_id = wanted.id
    and invoices.school_id = :school_id
    and invoices.issued_at >= wanted.opens_at
    and invoices.issued_at < wanted.closes_at
  where invoices.voided_at is null
  group by step
),
moved as (
  select
    date_trunc(
      :step,
      least(greatest((payments.paid_at at time zone wanted.time_zone)::date, wanted.starts_on), wanted.ends_on)::timestamp
    )::date as step,
    coalesce(sum(payments.amount) filter (where payments.kind = 'PAYMENT'), 0.00) as paid,
    coalesce(sum(payments.amount) filter (where payments.kind = 'REFUND'), 0.00) as refunded
  from wanted
  join payments on payments.school_id = wanted.id
    and payments.school_id = :school_id
    and payments.paid_at >= wanted.opens_at
    and payments.paid_at < wanted.closes_at
  group by step
),
calendar as (
  select
    first_day::date as step,
    greatest(first_day::date, wanted.starts_on) as starts_on,
    least((first_day + ('1 ' || :step)::interval)::date - 1, wanted.ends_on) as ends_on
  from wanted
  cross join generate_series(
    date_trunc(:step, wanted.starts_on::timestamp), wanted.ends_on::timestamp, ('1 ' || :step)::interval
  ) as first_day
),
collected as (
  select
    calendar.starts_on,
    calendar.ends_on,
    coalesce(issued.invoiced, 0.00) as invoiced,
    coalesce(moved.paid, 0.00) as paid,
    coalesce(moved.refunded, 0.00) as refunded,
    coalesce(moved.paid - moved.refunded, 0.00) as net
  from calendar
  left join issued on issued.step = calendar.step
  left join moved on moved.step = calendar.step
),
totals as (
  select
    sum(invoiced)::text as invoiced,
    sum(paid)::text as paid,
    sum(refunded)::text as refunded,
    sum(net)::text as net,
    round(sum(net) / nullif(sum(invoiced), 0), 4)::text as collection_rate
  from collected
),
rows as (
  select coalesce(json_agg(part order by collected.starts_on), '[]') as rows
  from collected
  cross join lateral (
    select
      collected.starts_on as "from",
      collected.ends_on as "to",
      null::text as method,
      collected.invoiced::text as invoiced,
      collected.paid::text as paid,
      collected.refunded::text as refunded,
      collected.net::text as net,
      round(collected.net / nullif(collected.invoiced, 0), 4)::text as collection_rate
  ) as part
),
collections as (
  select
    wanted.id as school_id,
    wanted.currency,
    wanted.starts_on as "from",
    wanted.ends_on as "to",
    :step as "by",
    totals,
    rows.rows
  from wanted
  cross join totals
  cross join rows
)
select
  coalesce((select to_json(collections)::text from collections), '') as document,
  bounds.starts_on,
  bounds.ends_on,
  bounds.rows_count
from bounds
