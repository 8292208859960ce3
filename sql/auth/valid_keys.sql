-- The valid keys among :key_hashes: one row each. The last use is stored to the minute (mark_key_used.sql), and
-- is_stale says that this minute is over.
select
  key_hash, id as key_id, name, key_prefix, role, school_id,
  coalesce(last_used_at < now() - interval '1 minute', true) as is_stale
from api_keys
where key_hash = any(:key_hashes::bytea[])
  and revoked_at is null
