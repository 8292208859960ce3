drop table if exists idempotency_keys;
drop function if exists remember_answer(text, text, bytea, jsonb);
drop function if exists claim_idempotency_key(text, text);
