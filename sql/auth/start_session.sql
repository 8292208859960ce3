-- The session that began: a row, or none where the user was disabled or got another password meanwhile.
--
-- The lock on the user makes a change of the password come before this or after it: before, and the generation is
-- another by now; after, and it ends this session with the others. Where the hash is of yesterday's parameters
-- it is replaced.
with account as materialized (
  select id, username, school_id, session_generation
  from users
  where id = :user_id
    and session_generation = :generation
    and disabled_at is null
  for no key update
),
rehashed as (
  update users
  set password_hash = coalesce(:new_password_hash, password_hash)
  from account
  cross join written_by(:request_actor, :request_id)
  where users.id = account.id
    -- Not where another log-in did so meanwhile.
    and users.password_hash = :password_hash
    and :new_password_hash::text is not null
),
forgotten as (
  select id
  from sessions
  where expires_at < now() - interval '90 days'
  order by expires_at
  limit 10
  for update skip locked
),
pruned_tokens as (
  delete from refresh_tokens
  where session_id in (select id from forgotten)
),
pruned_sessions as (
  delete from sessions
  where id in (select id from forgotten)
),
new_session as (
  insert into sessions (user_id, generation, address, expires_at)
  select id, session_generation, :address, now() + make_interval(secs => :lifetime_seconds::int)
  from account
  returning id, user_id
),
new_token as (
  insert into refresh_tokens (token_hash, session_id)
  select :token_hash::bytea, id
  from new_session
)
select new_session.id as session_id, new_session.user_id
from new_session
join account on account.id = new_session.user_id
cross join lateral append_login_to_audit_log(
  'LOGIN', account.id, account.school_id, account.username, :request_id,
  jsonb_build_object('username', account.username, 'address', :address::text)
)
