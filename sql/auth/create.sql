-- The user that was added; no row where the name is taken, so that a second seed changes nothing.
insert into users (username, password_hash, role, school_id)
select :username, :password_hash, :role, :school_id::uuid
from written_by(:actor, :request_id)
on conflict on constraint users_username_key do nothing
returning username, password_hash, role, school_id
