-- Counts an attempt to log in: one row, with the account of that username if there is one, and the seconds to wait if
-- too many attempts failed. It counts before the password is checked, so that parallel attempts are all counted.
-- uncount_attempts.sql takes off an attempt that succeeded or was refused here.
--
-- It counts by account and address, by address, and by account over all addresses. The last limit is so wide that no
-- single address can lock a user out elsewhere. A client with a refresh token of the user's earlier session has a
-- counter of its own. Later attempts do not prolong a window. An unknown account is counted like a known one, and a
-- disabled one has no password here.
with account as (
  select id, username, school_id, session_generation, case when disabled_at is null then password_hash end as password_hash
  from users
  where username = :username
),
earlier_session as (
  select sessions.id as session_id
  from account
  join sessions on sessions.user_id = account.id
  join refresh_tokens on refresh_tokens.session_id = sessions.id
  where refresh_tokens.token_hash = :refresh_token_hash::bytea
),
counters as (
  select jsonb_build_array('known', session_id) as counter, :most_per_account::int as most
  from earlier_session
  union all
  select strangers.counter, strangers.most
  from (
    values
      (jsonb_build_array('account at address', :username::text, :address::text), :most_per_account::int),
      (jsonb_build_array('address', :address), :most_per_address::int),
      (jsonb_build_array('account', :username), :most_per_account * 10)
  ) as strangers (counter, most)
  where not exists (select from earlier_session)
    -- A client at a unix socket has no address.
    and (strangers.counter ->> 0 <> 'address' or :address is not null)
),
limits as (
  select sha256(convert_to(counter::text, 'UTF8')) as bucket, most
  from counters
),
expired as (
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
  where bucket in (select bucket from expired)
),
counted as (
  insert into login_throttles (bucket, attempts, window_ends_at)
  select bucket, 1, now() + make_interval(secs => :window_seconds::int)
  from limits
  -- Parallel attempts lock the counters in one order.
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
  -- A full counter stays as it is, and is not returned.
  where login_throttles.window_ends_at <= now()
     or login_throttles.attempts < (select most from limits where limits.bucket = excluded.bucket)
  returning bucket
),
full_until as (
  -- By the snapshot of this statement: a counter that was filled since then has no end here.
  select max(window_ends_at) as ends_at
  from login_throttles
  where bucket in (select bucket from limits except select bucket from counted)
)
select
  account.id as user_id, account.username, account.password_hash, account.school_id, account.session_generation,
  (select coalesce(array_agg(bucket order by bucket), '{}') from counted) as buckets,
  case
    when exists (select bucket from limits except select bucket from counted)
    then greatest(1, ceil(extract(epoch from full_until.ends_at - now())))::int
  end as retry_after_seconds
from full_until
left join account on true
