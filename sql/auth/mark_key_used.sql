-- The key whose last use is now: a row, or none where another request was faster; nobody waits for a lock here.
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
returning api_keys.id as key_id
