-- The outcome of a refresh token: one row. The session continues with the new token; or it is null, because there were too
-- many refreshes, the token is unknown, the session has ended, or the token was spent before, which ends the session.
--
-- Two requests with one token queue at the counter of the session, and the second finds the token spent. Either client may
-- be a thief, so the session ends for both (RFC 9700 section 4.14.2).
with counted as materialized (
  select count_attempt(
    sha256(convert_to(jsonb_build_array('refresh', session_id)::text, 'UTF8')), :most::int, :window_seconds::int, null
  ) as retry_after_seconds
  from refresh_tokens
  where token_hash = :token_hash
    and spent_at is null
),
spent as (
  update refresh_tokens
  set spent_at = now()
  where token_hash = :token_hash
    and spent_at is null
    and exists (select from counted where retry_after_seconds is null)
  returning session_id
),
ended as (
  update sessions
  set ended_at = now()
  from refresh_tokens
  where refresh_tokens.token_hash = :token_hash
    and sessions.id = refresh_tokens.session_id
    and sessions.ended_at is null
    and not exists (select from counted where retry_after_seconds is not null)
    and not exists (select from spent)
  returning sessions.id, sessions.user_id
),
noted as (
  select append_login_to_audit_log(
    'TOKEN_REUSED', users.id, users.school_id, '(anonymous)', :request_id,
    jsonb_build_object('username', users.username, 'address', :address::text)
  ) as done
  from ended
  join users on users.id = ended.user_id
),
continued as (
  select sessions.id, sessions.user_id
  from spent
  join sessions on sessions.id = spent.session_id
  join users on users.id = sessions.user_id and users.session_generation = sessions.generation
  where sessions.ended_at is null
    and sessions.expires_at > now()
    and users.disabled_at is null
),
new_token as (
  insert into refresh_tokens (token_hash, session_id)
  select :new_token_hash::bytea, id
  from continued
)
select
  (select id from continued) as session_id,
  (select user_id from continued) as user_id,
  (select count(*) > 0 from noted where done) as was_spent,
  (select retry_after_seconds from counted) as retry_after_seconds
