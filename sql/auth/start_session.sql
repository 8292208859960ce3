-- The new session: one row, or none if the user was disabled or got another password in the meantime. It also replaces
-- a password hash with outdated parameters.
--
-- The lock on the user orders this and a change of the password. If the change is first, the generation differs and no
-- session starts; if it is second, it ends this session, too.
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
    -- Not if another log-in replaced it in the meantime.
    and users.password_hash = :password_hash
    and :new_password_hash::text is not null
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
