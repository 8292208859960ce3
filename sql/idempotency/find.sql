-- The stored answer of an idempotency key: one row, or none if the key was not used in the last 24 hours.
select fingerprint, answer
from idempotency_keys
where scope = :request_idempotency_scope
  and key = :request_idempotency_key
