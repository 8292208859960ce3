-- The user with a new password and all sessions ended: a row, or none where it is not the tenant's or is of
-- another version than :if_match lists.
-- On Citus: answered on the coordinator.
update users
set password_hash = :password_hash,
    password_changed_at = now(),
    session_generation = session_generation + 1,
    updated_at = greatest(now(), (users.updated_at at time zone 'UTC' + interval '1 microsecond') at time zone 'UTC')
from written_by(:actor, :request_id)
where id = :user_id
  and (:tenant::uuid is null or school_id = :tenant)
  and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
returning id, username, role, school_id, disabled_at, password_changed_at, created_at, updated_at
