-- The revoked key: one row, or none if the tenant has no such key or :if_match does not list its version.
with author as materialized (select written_by(:request_actor, :request_id) as noted)
update api_keys
set revoked_at = coalesce(revoked_at, now())
where (select noted from author)
  and id = :api_key_id
  and (:tenant::uuid is null or school_id = :tenant)
  and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
returning id, name, key_prefix, role, school_id, created_by, last_used_at, revoked_at, created_at, updated_at
