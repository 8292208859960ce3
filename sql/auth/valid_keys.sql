-- Those of the API keys that are good at this moment, and what they may do: a row each. A key's last use is kept to
-- the minute (mark_key_used.sql), and the last column says whether that minute is over.
select
  key_hash, id as key_id, name, key_prefix, role, school_id,
  coalesce(last_used_at < now() - interval '1 minute', true) as is_stale
from api_keys
where key_hash = any(:key_hashes::bytea[])
  and revoked_at is null
