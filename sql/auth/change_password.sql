-- The user whose password changed, with all sessions ended: a row, or none where the stored one is not the one that
-- was verified (any more), or the user is disabled.
-- On Citus: answered on the coordinator.
update users
set password_hash = :new_password_hash,
    password_changed_at = now(),
    session_generation = session_generation + 1,
    updated_at = greatest(now(), (users.updated_at at time zone 'UTC' + interval '1 microsecond') at time zone 'UTC')
from written_by(:actor, :request_id)
where id = :user_id
  and password_hash = :password_hash
  and disabled_at is null
returning id as user_id
