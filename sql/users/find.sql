-- The user of that name: one row or none. Names are stored in lower case. Only commands ask, never a request.
select id, username, role, school_id, disabled_at, password_changed_at, created_at, updated_at
from users
where username = :username
