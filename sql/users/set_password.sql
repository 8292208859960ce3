-- The user with a new password and no sessions: one row, or none if the tenant has no such user or :if_match does not
-- list its version.
with author as materialized (select written_by(:request_actor, :request_id) as noted)
update users
set password_hash = :password_hash,
    password_changed_at = now(),
    session_generation = session_generation + 1
where (select noted from author)
  and id = :user_id
  and (:tenant::uuid is null or school_id = :tenant)
  and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
returning id, username, role, school_id, disabled_at, password_changed_at, created_at, updated_at
