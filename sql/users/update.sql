-- The changed user: one row, or none if the tenant has no such user or :if_match does not list its version. Null leaves
-- a column as it is. Disabling ends all sessions of the user for good.
with author as materialized (select written_by(:request_actor, :request_id) as noted)
update users
set role = coalesce(:role, role),
    disabled_at = case when coalesce(:disabled, disabled_at is not null) then coalesce(disabled_at, now()) end,
    session_generation = session_generation + case when :disabled and disabled_at is null then 1 else 0 end
where (select noted from author)
  and id = :user_id
  and (:tenant::uuid is null or school_id = :tenant)
  and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
returning id, username, role, school_id, disabled_at, password_changed_at, created_at, updated_at
