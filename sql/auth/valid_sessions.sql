-- The valid sessions among :session_ids, each with its user: one row each. It runs before every request with an access
-- token, so the end of a session takes effect at once.
select sessions.id as session_id, users.id as user_id, users.username, users.role, users.school_id
from sessions
join users on users.id = sessions.user_id and users.session_generation = sessions.generation
where sessions.id = any(:session_ids::uuid[])
  and sessions.ended_at is null
  and sessions.expires_at > now()
  and users.disabled_at is null
