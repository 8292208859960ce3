-- What a key was used for: a row, or none where nobody used it in the last 24 hours.
select fingerprint, answer
from idempotency_keys
where scope = :idempotency_scope
  and key = :idempotency_key
