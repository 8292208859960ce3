-- The first administrator, where there is no user of that name yet: one row or none, so that a second seed changes nothing.
insert into users (username, password_hash, role)
select :username, :password_hash, 'admin'
from written_by(:request_actor, :request_id)
on conflict on constraint users_username_key do nothing
returning id, username, role, school_id, disabled_at, password_changed_at, created_at, updated_at
