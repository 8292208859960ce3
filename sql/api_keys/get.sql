-- One key: one row, or none if the tenant has no such key.
select id, name, key_prefix, role, school_id, created_by, last_used_at, revoked_at, created_at, updated_at
from api_keys
where id = :api_key_id
  and (:tenant::uuid is null or school_id = :tenant)
