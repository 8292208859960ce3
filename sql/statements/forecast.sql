-- What falls due at a school by month, as one JSON document: one row, or none if there is no such school or it is not the
-- tenant's. It begins with the school's month of today. Void invoices are left out. What is due is what is open and what is
-- paid of it, so it is the total less what was taken off.
with school as (
  select id, currency, date_trunc('month', now() at time zone time_zone)::date as starts_on
  from schools
  where id = :school_id
    and (:tenant::uuid is null or id = :tenant)
),
calendar as (
  select
    (starts_on + make_interval(months => number))::date as starts_on,
    (starts_on + make_interval(months => number + 1))::date - 1 as ends_on
  from school
  cross join generate_series(0, :months::int - 1) as number
),
by_month as (
  select
    case
      when due_date < school.starts_on then '-infinity'
      when due_date >= school.starts_on + make_interval(months => :months) then 'infinity'
      else date_trunc('month', due_date::timestamp)::date
    end as starts_on,
    sum(balance_due + paid_total) as due, sum(paid_total) as paid, sum(balance_due) as open, count(*) as invoices_count
  from school
  join invoices on invoices.school_id = school.id
  where invoices.school_id = :school_id
    and voided_at is null
  group by 1
),
rows as (
  select json_agg(part order by calendar.starts_on) as rows
  from calendar
  left join by_month on by_month.starts_on = calendar.starts_on
  cross join lateral (
    select
      calendar.starts_on as "from", calendar.ends_on as "to", amount_text(due) as due, amount_text(paid) as paid,
      amount_text(open) as open, coalesce(invoices_count, 0) as invoices_count
  ) as part
),
forecast as (
  select
    id as school_id, currency,
    amount_text((select open from by_month where by_month.starts_on = '-infinity')) as open_before, rows.rows,
    amount_text((select open from by_month where by_month.starts_on = 'infinity')) as open_after
  from school
  cross join rows
)
select to_json(forecast)::text as document
from forecast
