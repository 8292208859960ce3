-- Sets a new password, which ends all sessions: one row, or none if the password changed in the meantime or the user
-- is disabled.
with author as materialized (select written_by(:request_actor, :request_id) as noted)
update users
set password_hash = :new_password_hash,
    password_changed_at = now(),
    session_generation = session_generation + 1
where (select noted from author)
  and id = :user_id
  and password_hash = :password_hash
  and disabled_at is null
returning true as changed
