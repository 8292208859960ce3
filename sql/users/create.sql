-- The new user: one row, or none if it would belong to another school than the tenant.
insert into users (username, password_hash, role, school_id)
select :username, :password_hash, :role, :school_id::uuid
from written_by(:request_actor, :request_id)
where (:tenant::uuid is null or :school_id = :tenant)
  -- On a cluster, there is no foreign key from the coordinator to the shards.
  and (:school_id::uuid is null or exists (select 1 from schools where id = :school_id))
returning id, username, role, school_id, disabled_at, password_changed_at, created_at, updated_at
