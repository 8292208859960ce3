-- The user of that name, for checking a password: one row or none. Names are stored in lower case.
select username, password_hash, role, school_id
from users
where username = :username
