-- Takes an attempt off its counters, because it did not fail: one row with their number.
with counted as (
  -- Locks the counters in the same order as count_attempt.sql.
  select bucket
  from login_throttles
  where bucket = any(:buckets::bytea[])
  order by bucket
  for no key update
),
taken_off as (
  update login_throttles
  set attempts = greatest(attempts - 1, 0)
  from counted
  where login_throttles.bucket = counted.bucket
  returning login_throttles.bucket
)
select count(*)::int as uncounted
from taken_off
