-- The new key: one row, or none if it would belong to another school than the tenant.
insert into api_keys (name, key_hash, key_prefix, role, school_id, created_by)
select :name, :key_hash::bytea, :key_prefix, :role, :school_id::uuid, coalesce(:request_actor, session_user)
from written_by(:request_actor, :request_id)
where (:tenant::uuid is null or :school_id = :tenant)
  -- On a cluster, there is no foreign key from the coordinator to the shards.
  and (:school_id::uuid is null or exists (select 1 from schools where id = :school_id))
returning id, name, key_prefix, role, school_id, created_by, last_used_at, revoked_at, created_at, updated_at
