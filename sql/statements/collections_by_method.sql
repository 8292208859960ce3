-- What a school collected by each method, as one JSON document: a row, or none where there is no such school or it is
-- not the tenant's. The document is empty where the period begins after its end, or more than :most methods are in
-- use.
--
-- The rules are those of collections.sql. An invoice has no method, so a row's rate is its share of all that was
-- invoiced in the period, and the rates of the rows add up to that of the totals but for their rounding.
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
    (ends_on + 1)::timestamp at time zone time_zone as closes_at
  from school
),
issued as (
  select coalesce(sum(invoices.total_amount), 0.00) as invoiced
  from bounds
  join invoices on invoices.school_id = bounds.id
    and invoices.school_id = :school_id
    and invoices.issued_at >= bounds.opens_at
    and invoices.issued_at < bounds.closes_at
  where invoices.voided_at is null
),
moved as (
  select
    payments.method,
    coalesce(sum(payments.amount) filter (where payments.kind = 'PAYMENT'), 0.00) as paid,
    coalesce(sum(payments.amount) filter (where payments.kind = 'REFUND'), 0.00) as refunded
  from bounds
  join payments on payments.school_id = bounds.id
    and payments.school_id = :school_id
    and payments.paid_at >= bounds.opens_at
    and payments.paid_at < bounds.closes_at
  group by payments.method
),
totals as (
  select
    (select invoiced from issued)::text as invoiced,
    coalesce(sum(paid), 0.00)::text as paid,
    coalesce(sum(refunded), 0.00)::text as refunded,
    coalesce(sum(paid - refunded), 0.00)::text as net,
    round(coalesce(sum(paid - refunded), 0.00) / nullif((select invoiced from issued), 0), 4)::text as collection_rate
  from moved
),
rows as (
  select coalesce(json_agg(part order by moved.method), '[]') as rows
  from bounds
  cross join issued
  cross join moved
  cross join lateral (
    select
      bounds.starts_on as "from",
      bounds.ends_on as "to",
      moved.method,
      null::text as invoiced,
      moved.paid::text as paid,
      moved.refunded::text as refunded,
      (moved.paid - moved.refunded)::text as net,
      round((moved.paid - moved.refunded) / nullif(issued.invoiced, 0), 4)::text as collection_rate
  ) as part
),
collections as (
  select
    bounds.id as school_id,
    bounds.currency,
    bounds.starts_on as "from",
    bounds.ends_on as "to",
    'method' as "by",
    totals,
    rows.rows
  from bounds
  cross join totals
  cross join rows
  where bounds.starts_on <= bounds.ends_on
    and (select count(*) from moved) <= :most::bigint
)
select
  coalesce((select to_json(collections)::text from collections), '') as document,
  bounds.starts_on,
  bounds.ends_on,
  (select count(*) from moved)::int as rows_count
from bounds
