-- The key that was added: one row, or none where it would be of another school than the tenant.
insert into api_keys (name, key_hash, key_prefix, role, school_id, created_by)
select :name, :key_hash::bytea, :key_prefix, :role, :school_id::uuid, coalesce(:request_actor, session_user)
from written_by(:request_actor, :request_id)
where (:tenant::uuid is null or :school_id = :tenant)
returning id, name, key_prefix, role, school_id, created_by, last_used_at, revoked_at, created_at, updated_at
