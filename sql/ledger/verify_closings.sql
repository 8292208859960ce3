-- The first :limit closings whose figures are not those of their period, that do not begin where the closing before them
-- ends, or whose sealed audit entry is another one now; no rows if all agree. Each reads what its school had until then.
with live as (
  select
    id, school_id, through, opens_at, closes_at, audit_position, audit_hash,
    array[
      opening_balance, invoiced, credited, discounted, written_off, received, refunded, voided, closing_balance,
      bucket_0, bucket_1, bucket_2, bucket_3, bucket_4, unallocated
    ] as stored,
    opening_balance,
    lag(closes_at) over chain as closes_at_before, lag(closing_balance, 1, 0.00) over chain as balance_before
  from closings
  where reopened_at is null
  window chain as (partition by school_id order by through)
),
compared as (
  select
    live.id, live.school_id, live.through,
    case
      when live.opens_at is distinct from coalesce(closes_at_before + interval '1 microsecond', '-infinity')
      then 'does not begin where the closing before it ends'
      when live.opening_balance <> balance_before then 'opens with ' || live.opening_balance || ', but the one before it closes with ' || balance_before
      when stored <> computed then 'has the figures ' || stored::text || ', but its entries come to ' || computed::text
      when audit_position is not null and not exists (
        select 1
        from audit_log
        where audit_log.school_id = live.school_id and position = audit_position and hash = audit_hash
      ) then 'was made after another audit entry at position ' || audit_position
    end as finding
  from live
  cross join lateral roll_forward_of(live.school_id, live.opens_at, live.closes_at, live.through) as figures
  cross join lateral (
    select array[
      figures.opening_balance, invoiced, credited, discounted, written_off, received, refunded, voided, closing_balance,
      bucket_0, bucket_1, bucket_2, bucket_3, bucket_4, unallocated
    ] as computed
  ) as again
)
select id, school_id, through, finding
from compared
where finding is not null
order by school_id, through
limit :limit
