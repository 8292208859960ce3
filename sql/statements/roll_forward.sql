-- How the balance of a school came about in a period, as one JSON document: one row, or none if there is no such school or it
-- is not the tenant's. The document is empty if the period begins after its end.
--
-- roll_forward_of() computes the figures, here and for the closings that store them. A period that begins or ends with a
-- closing has its moments, which stay even if the school moves to another time zone.
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
    id, currency, starts_on, ends_on,
    coalesce(
      (
        select closes_at + interval '1 microsecond'
        from closings
        where closings.school_id = :school_id and through = school.starts_on - 1 and reopened_at is null
      ),
      start_of_day(starts_on, time_zone)
    ) as opens_at,
    coalesce(
      (
        select closes_at
        from closings
        where closings.school_id = :school_id and through = school.ends_on and reopened_at is null
      ),
      end_of_day(ends_on, time_zone)
    ) as closes_at
  from school
),
roll_forward as (
  select
    id as school_id, currency, period.starts_on as "from", period.ends_on as "to",
    amount_text(opening_balance) as opening_balance, amount_text(invoiced) as invoiced, amount_text(credited) as credited,
    amount_text(discounted) as discounted, amount_text(written_off) as written_off, amount_text(received) as received,
    amount_text(refunded) as refunded, amount_text(voided) as voided, amount_text(closing_balance) as closing_balance,
    ageing_of(bucket_0, bucket_1, bucket_2, bucket_3, bucket_4) as ageing, amount_text(unallocated) as unallocated
  from period
  cross join lateral roll_forward_of(:school_id, period.opens_at, period.closes_at, period.ends_on)
  where period.starts_on <= period.ends_on
)
select
  coalesce((select to_json(roll_forward)::text from roll_forward), '') as document, starts_on, ends_on
from period
