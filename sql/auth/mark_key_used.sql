-- Sets the last use of a key to now: one row, or none if another request is setting it. No request waits for the lock.
with stale as (
  select id
  from api_keys
  where id = :key_id
    and coalesce(last_used_at < now() - interval '1 minute', true)
  for no key update skip locked
)
update api_keys
set last_used_at = now()
from stale
where api_keys.id = stale.id
returning true as marked
