-- The user with a new password and all sessions ended: a row, or none where it is not the tenant's.
update users
set password_hash = :password_hash,
    password_changed_at = now(),
    session_generation = session_generation + 1,
    updated_at = now()
from written_by(:actor, :request_id)
where id = :user_id
  and (:tenant::uuid is null or school_id = :tenant)
returning id, username, role, school_id, disabled_at, password_changed_at, created_at, updated_at
