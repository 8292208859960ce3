-- Idempotency keys (draft-ietf-httpapi-idempotency-key-header): what a POST that carried one has made, for 24 hours.
--
-- The key, what it made and the answer commit in one statement (sql/*/create.sql), so a crash cannot come between.
create table if not exists idempotency_keys (
  -- The user and the user's school, the method and the path.
  scope text not null,
  key text not null,
  -- SHA-256 of the body: the same key with another body is a mistake of the caller.
  fingerprint bytea not null,
  -- The row that was made, as it was then.
  answer jsonb,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint idempotency_keys_pkey primary key (scope, key),
  constraint idempotency_keys_key_length check (char_length(key) between 1 and 255)
);

-- The oldest, for pruning.
create index if not exists idempotency_keys_created_at_idx on idempotency_keys (created_at);

-- Takes the key for this transaction; null means that the request has none. It fails with the name of the primary
-- key where the key is taken, and at once where another request is about to take it. Each call prunes a few
-- of the expired, so that they go without a scheduler.
create or replace function claim_idempotency_key(claimed_scope text, claimed_key text, claimed_fingerprint bytea)
  returns boolean
  language plpgsql volatile
  as $function$
    begin
      if claimed_key is null then
        return true;
      end if;
      if not pg_try_advisory_xact_lock(hashtextextended(claimed_key, hashtextextended(claimed_scope, 0))) then
        raise exception 'a request with this key is in flight'
          using errcode = 'integrity_constraint_violation', constraint = 'idempotency_key_in_flight';
      end if;
      -- Without an answer the request that had it made nothing, and under the lock that is known for good.
      delete from idempotency_keys
      where scope = claimed_scope and key = claimed_key
        and (answer is null or created_at < now() - interval '24 hours');
      delete from idempotency_keys
      where (scope, key) in (
        select scope, key
        from idempotency_keys
        where created_at < now() - interval '24 hours'
        order by created_at
        limit 10
        for update skip locked
      );
      insert into idempotency_keys (scope, key, fingerprint)
      values (claimed_scope, claimed_key, claimed_fingerprint);
      return true;
    end
  $function$;

-- Keeps what the request made beside its key.
create or replace function remember_answer(claimed_scope text, claimed_key text, given_answer jsonb) returns boolean
  language plpgsql volatile
  as $function$
    begin
      if claimed_key is not null then
        update idempotency_keys
        set answer = given_answer, updated_at = now()
        where scope = claimed_scope and key = claimed_key;
      end if;
      return true;
    end
  $function$;
