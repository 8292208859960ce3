-- The key as revoked, now or before: a row, or none where it is not the tenant's or is of another version than
-- :if_match lists.
-- On Citus: answered on the coordinator.
update api_keys
set revoked_at = coalesce(revoked_at, now()),
    updated_at = greatest(now(), (api_keys.updated_at at time zone 'UTC' + interval '1 microsecond') at time zone 'UTC')
from written_by(:actor, :request_id)
where id = :api_key_id
  and (:tenant::uuid is null or school_id = :tenant)
  and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
returning id, name, key_prefix, role, school_id, created_by, last_used_at, revoked_at, created_at, updated_at
