-- What a key was used for: a row, or none where nobody used it in the last 24 hours.
select fingerprint, answer
from idempotency_keys
where scope = :request_idempotency_scope
  and key = :request_idempotency_key
