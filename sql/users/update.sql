-- The user as changed: a row, or none where it is not the tenant's. Null leaves a column as it is. Whoever is disabled
-- loses all sessions, and they do not come back with the account.
update users
set role = coalesce(:role, role),
    disabled_at = case when coalesce(:disabled, disabled_at is not null) then coalesce(disabled_at, now()) end,
    session_generation = session_generation + case when :disabled and disabled_at is null then 1 else 0 end,
    updated_at = now()
from written_by(:actor, :request_id)
where id = :user_id
  and (:tenant::uuid is null or school_id = :tenant)
returning id, username, role, school_id, disabled_at, password_changed_at, created_at, updated_at
