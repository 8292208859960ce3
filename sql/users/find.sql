-- The user with this username, in lower case: one row or none. Only commands run it.
select id, username, role, school_id, disabled_at, password_changed_at, created_at, updated_at
from users
where username = :username
