-- One user: a row, or none where it is not the tenant's.
select id, username, role, school_id, disabled_at, password_changed_at, created_at, updated_at
from users
where id = :user_id
  and (:tenant::uuid is null or school_id = :tenant)
