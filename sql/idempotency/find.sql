-- The stored answer of an idempotency key: one row, or none if the key was not used in the last 24 hours.
select fingerprint, answer
from idempotency_keys
where scope = :idempotency_scope
  and key = :idempotency_key
