-- The key as revoked, now or before: a row, or none where it is not the tenant's or is of another version than
-- :if_match lists.
with author as materialized (
  select written_by(:request_actor, :request_id) as noted
)
update api_keys
set revoked_at = coalesce(revoked_at, now())
where (select noted from author)
  and id = :api_key_id
  and (:tenant::uuid is null or school_id = :tenant)
  and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
returning id, name, key_prefix, role, school_id, created_by, last_used_at, revoked_at, created_at, updated_at
