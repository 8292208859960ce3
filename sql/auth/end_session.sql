-- The session of a refresh token, now ended: one row, or none if it had already ended or the token is unknown.
update sessions
set ended_at = now()
from refresh_tokens
where refresh_tokens.token_hash = :token_hash
  and sessions.id = refresh_tokens.session_id
  and sessions.ended_at is null
returning sessions.id as session_id, sessions.user_id
