-- One user: one row, or none if the tenant has no such user.
select id, username, role, school_id, disabled_at, password_changed_at, created_at, updated_at
from users
where id = :user_id
  and (:tenant::uuid is null or school_id = :tenant)
