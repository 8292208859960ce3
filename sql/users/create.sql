-- The user that was added: one row. The tenant's administrators add users of their own school alone, which the repository
-- sees to; here another school is one that does not exist.
insert into users (username, password_hash, role, school_id)
select :username, :password_hash, :role, :school_id::uuid
from written_by(:request_actor, :request_id)
where (:tenant::uuid is null or :school_id = :tenant)
returning id, username, role, school_id, disabled_at, password_changed_at, created_at, updated_at
