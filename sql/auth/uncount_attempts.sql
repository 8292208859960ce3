-- From how many counters an attempt that did not fail was taken off again: one row.
with counted as (
  -- In the order in which attempts lock them.
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
