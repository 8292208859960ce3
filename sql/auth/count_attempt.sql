-- An attempt to log in: one row, with the account of that name where there is one, and for how many seconds nobody may try
-- where too many did. The attempt is counted here, before the password is looked at, so that a hundred at once are
-- a hundred; a log-in that succeeds, and one that is refused here, is taken off again (uncount_attempts.sql).
--
-- It is counted by account and address, by address, and by account from everywhere, of which the last is so wide that no
-- single address exhausts it: nobody elsewhere can lock a user out. Who shows a refresh token of a session that
-- the user had is counted apart from all strangers. A window ends when it ends, whatever is tried meanwhile, and
-- an account that does not exist is counted like one that does. One that is disabled has no password here.
with account as (
  select id, username, school_id, session_generation, case when disabled_at is null then password_hash end as password_hash
  from users
  where username = :username
),
known as (
  select sessions.id as session_id
  from account
  join sessions on sessions.user_id = account.id
  join refresh_tokens on refresh_tokens.session_id = sessions.id
  where refresh_tokens.token_hash = :refresh_token_hash::bytea
),
counters as (
  select jsonb_build_array('known', session_id) as counter, :most_per_account::int as most
  from known
  union all
  select strangers.counter, strangers.most
  from (
    values
      (jsonb_build_array('account at address', :username::text, :address::text), :most_per_account::int),
      (jsonb_build_array('address', :address), :most_per_address::int),
      (jsonb_build_array('account', :username), :most_per_account * 10)
  ) as strangers (counter, most)
  where not exists (select from known)
    -- A caller through a unix socket has no address.
    and (strangers.counter ->> 0 <> 'address' or :address is not null)
),
limits as (
  select sha256(convert_to(counter::text, 'UTF8')) as bucket, most
  from counters
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
        when login_throttles.window_ends_at <= now() then 1
        else login_throttles.attempts + 1
      end,
      window_ends_at = case
        when login_throttles.window_ends_at <= now() then excluded.window_ends_at
        else login_throttles.window_ends_at
      end
  -- What is full stays as it is and does not come back.
  where login_throttles.window_ends_at <= now()
     or login_throttles.attempts < (select most from limits where limits.bucket = excluded.bucket)
  returning bucket
),
full_until as (
  -- As this statement found them: one that another has filled since has no end here yet.
  select max(window_ends_at) as ends_at
  from login_throttles
  where bucket in (select bucket from limits except select bucket from counted)
)
select
  account.id as user_id,
  account.username,
  account.password_hash,
  account.school_id,
  account.session_generation,
  (select coalesce(array_agg(bucket order by bucket), '{}') from counted) as buckets,
  case
    when exists (select bucket from limits except select bucket from counted)
    then greatest(1, ceil(extract(epoch from full_until.ends_at - now())))::int
  end as retry_after_seconds
from full_until
left join account on true
