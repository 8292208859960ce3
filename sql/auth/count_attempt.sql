-- Counts an attempt to log in: one row, with the account of that username if there is one, and the seconds to wait if
-- there were too many attempts. It counts before the password is checked, so that parallel attempts are all counted.
--
-- Failed attempts are counted by account and address, by address, by site (an IPv6 /48), and by account over all
-- addresses; uncount_attempts.sql takes off an attempt that succeeded or was refused here. The last limit is so wide that
-- no single address can lock a user out elsewhere. All attempts, also with the right password, have a limit by account and
-- address. A client with a refresh token of the user's earlier session has counters of its own. An unknown account is
-- counted like a known one, and a disabled one has no password here.
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
  select known.counter, known.most, known.counts_successes, true as is_of_account
  from earlier_session
  cross join lateral (
    values
      (jsonb_build_array('known', session_id), :most_per_account::int, false),
      (jsonb_build_array('known, any', session_id), :most_per_account * 20, true)
  ) as known (counter, most, counts_successes)
  union all
  select strangers.counter, strangers.most, strangers.counts_successes, strangers.is_of_account
  from (
    values
      (jsonb_build_array('account at address', :username::text, :address::text), :most_per_account, false, true),
      (jsonb_build_array('account at address, any', :username, :address), :most_per_account * 20, true, true),
      (jsonb_build_array('account', :username), :most_per_account * 10, false, true),
      (jsonb_build_array('address', :address), :most_per_address::int, false, false),
      (jsonb_build_array('site', :site::text), :most_per_address * 10, false, false)
  ) as strangers (counter, most, counts_successes, is_of_account)
  where not exists (select from earlier_session)
    -- A client at a unix socket has no address, and one with IPv4 has no site.
    and (strangers.counter ->> 0 <> 'address' or :address is not null)
    and (strangers.counter ->> 0 <> 'site' or :site is not null)
),
limits as (
  select
    sha256(convert_to(counter::text, 'UTF8')) as bucket, most, counts_successes,
    case when is_of_account then sha256(convert_to(:username, 'UTF8')) end as account
  from counters
  -- Parallel attempts lock the counters in one order.
  order by bucket
),
attempts as materialized (
  select limits.bucket, limits.counts_successes, count_attempt.retry_after_seconds
  from limits
  cross join lateral count_attempt(limits.bucket, limits.most, :window_seconds::int, limits.account)
    as count_attempt (retry_after_seconds)
)
select
  account.id as user_id, account.username, account.password_hash, account.school_id, account.session_generation,
  failures.buckets, waits.retry_after_seconds
from (
  select coalesce(array_agg(bucket order by bucket), '{}') as buckets
  from attempts
  where retry_after_seconds is null and not counts_successes
) as failures
cross join (select max(retry_after_seconds) as retry_after_seconds from attempts) as waits
left join account on true
