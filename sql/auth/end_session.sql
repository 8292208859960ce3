-- Ends the session of a refresh token: one row, or none if it had already ended or the token is unknown.
update sessions
set ended_at = now()
from refresh_tokens
where refresh_tokens.token_hash = :token_hash
  and sessions.id = refresh_tokens.session_id
  and sessions.ended_at is null
returning true as ended
