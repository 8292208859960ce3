-- The key as revoked, now or before: a row, or none where it is not the tenant's.
update api_keys
set revoked_at = coalesce(revoked_at, now()),
    updated_at = now()
from written_by(:actor, :request_id)
where id = :api_key_id
  and (:tenant::uuid is null or school_id = :tenant)
returning id, name, key_prefix, role, school_id, last_used_at, revoked_at, created_at, updated_at
