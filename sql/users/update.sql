-- The user as changed: a row, or none where it is not the tenant's or is of another version than :if_match lists. Null
-- leaves a column as it is. Whoever is disabled loses all sessions, and they do not come back with the account.
with author as materialized (
  select written_by(:request_actor, :request_id) as noted
)
update users
set role = coalesce(:role, role),
    disabled_at = case when coalesce(:disabled, disabled_at is not null) then coalesce(disabled_at, now()) end,
    session_generation = session_generation + case when :disabled and disabled_at is null then 1 else 0 end
where (select noted from author)
  and id = :user_id
  and (:tenant::uuid is null or school_id = :tenant)
  and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
returning id, username, role, school_id, disabled_at, password_changed_at, created_at, updated_at
