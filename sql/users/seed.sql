-- The first administrator: one row, or none if there is already a user with this username.
insert into users (username, password_hash, role)
select :username, :password_hash, 'admin'
from written_by(:request_actor, :request_id)
on conflict on constraint users_username_key do nothing
returning id, username, role, school_id, disabled_at, password_changed_at, created_at, updated_at
