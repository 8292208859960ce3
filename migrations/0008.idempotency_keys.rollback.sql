drop function if exists remember_answer(text, text, jsonb);
drop function if exists claim_idempotency_key(text, text, bytea);
drop table if exists idempotency_keys;
