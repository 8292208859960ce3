-- An attempt to log in: one row, with the account of that name where there is one, and for how many seconds nobody may try
-- where too many did. The attempt is counted here, before the password is looked at, so that a hundred at once are
-- a hundred; a log-in that succeeds is taken off again (forgive.sql).
--
-- Strangers are counted by account and by address. An address from which the user has come before is counted apart
-- from them, so that nobody elsewhere can lock a user out; and a window ends when it ends, whatever is
-- tried meanwhile. An account that does not exist is counted like one that does.
with account as (
  select id, username, password_hash, school_id
  from users
  where username = :username
),
familiar as (
  select exists (
    select
    from sessions
    join account on account.id = sessions.user_id
    where sessions.address = :address::text
      and sessions.created_at > now() - interval '90 days'
  ) as yes
),
limits as (
  select sha256(convert_to(jsonb_build_array('account', :username::text, :address)::text, 'UTF8')) as bucket,
         :most_per_account::int as most
  from familiar
  where yes
  union all
  select sha256(convert_to(jsonb_build_array('account', :username::text)::text, 'UTF8')), :most_per_account
  from familiar
  where not yes
  union all
  select sha256(convert_to(jsonb_build_array('address', :address)::text, 'UTF8')), :most_per_address::int
  from familiar
  where not yes and :address is not null
),
forgotten as (
  select bucket
  from login_throttles
  where window_ends_at < now()
    and bucket not in (select bucket from limits)
  order by window_ends_at
  limit 10
  for update skip locked
),
pruned as (
  delete from login_throttles
  where bucket in (select bucket from forgotten)
),
counted as (
  insert into login_throttles (bucket, attempts, window_ends_at)
  select bucket, 1, now() + make_interval(secs => :window_seconds::int)
  from limits
  -- Two who try at once lock in one order.
  order by bucket
  on conflict on constraint login_throttles_pkey do update
  set attempts = case
        when login_throttles.window_ends_at <= excluded.updated_at then 1
        else least(login_throttles.attempts + 1, 1000000)
      end,
      window_ends_at = case
        when login_throttles.window_ends_at <= excluded.updated_at then excluded.window_ends_at
        else login_throttles.window_ends_at
      end,
      updated_at = excluded.updated_at
  returning bucket, attempts, window_ends_at
)
select
  account.id as user_id,
  account.username,
  account.password_hash,
  account.school_id,
  (select array_agg(bucket order by bucket) from limits) as buckets,
  (
    select greatest(1, ceil(extract(epoch from max(counted.window_ends_at) - now())))::int
    from counted
    join limits on limits.bucket = counted.bucket
    where counted.attempts > limits.most
    having count(*) > 0
  ) as retry_after_seconds
from familiar
left join account on true
