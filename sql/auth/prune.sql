-- Deletes up to :limit rows of each kind that log-ins left behind: one row with their number. These are the counters whose
-- window is over, the tokens of sessions that expired long ago, and then these sessions. No log-in waits for it.
with counters as (
  select bucket
  from login_throttles
  where window_ends_at < now()
  order by window_ends_at, bucket
  limit :limit::int
  for update skip locked
),
sessions_to_delete as (
  select id
  from sessions
  where expires_at < now() - interval '90 days'
  order by expires_at, id
  limit :limit
),
tokens as (
  select token_hash
  from refresh_tokens
  where session_id in (select id from sessions_to_delete)
  order by token_hash
  limit :limit
  for update skip locked
),
deleted_counters as (
  delete from login_throttles
  where bucket in (select bucket from counters)
  returning bucket
),
deleted_tokens as (
  delete from refresh_tokens
  where token_hash in (select token_hash from tokens)
  returning token_hash
),
deleted_sessions as (
  delete from sessions
  where id in (select id from sessions_to_delete)
    and not exists (select from refresh_tokens where session_id = sessions.id)
  returning id
)
select (
  (select count(*) from deleted_counters)
  + (select count(*) from deleted_tokens)
  + (select count(*) from deleted_sessions)
)::int as deleted
