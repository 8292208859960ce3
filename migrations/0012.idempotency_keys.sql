-- Idempotency keys (draft-ietf-httpapi-idempotency-key-header), each with the answer of its POST, for 24 hours. The key, the
-- answer and the change commit in one statement (sql/*/create.sql).
set local lock_timeout = '2s';

create table if not exists idempotency_keys (
  -- The user, the school of the user, the method and the path.
  scope text not null,
  key text not null,
  -- SHA-256 of the body. The same key with another body is refused.
  fingerprint bytea not null,
  -- The new row as it was then.
  answer jsonb not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint idempotency_keys_pkey primary key (scope, key),
  constraint idempotency_keys_key_length check (char_length(key) between 1 and 255)
);

-- The oldest keys, to delete them.
create index if not exists idempotency_keys_created_at_idx on idempotency_keys (created_at);

-- Claims a key for this transaction. It fails with the name of the primary key if the key was used, and at once if another
-- request with the key is in flight. This function and remember_answer() are strict: with null, for no key, neither runs.
create or replace function claim_idempotency_key(claimed_scope text, claimed_key text) returns boolean
  language plpgsql volatile strict
  set search_path = public, pg_temp
  as $function$
    begin
      if not pg_try_advisory_xact_lock(hashtextextended(claimed_key, hashtextextended(claimed_scope, 0))) then
        raise exception 'a request with this key is in flight'
          using errcode = 'integrity_constraint_violation', constraint = 'idempotency_key_in_flight';
      end if;
      -- With the lock, this sees the key of an earlier request.
      if exists (
        select from idempotency_keys
        where scope = claimed_scope and key = claimed_key and created_at >= now() - interval '24 hours'
      ) then
        raise exception 'this key was used'
          using errcode = 'unique_violation', constraint = 'idempotency_keys_pkey', table = 'idempotency_keys';
      end if;
      return true;
    end
  $function$;

-- Stores the answer of the request that claimed the key. Each call also deletes a few expired keys, so that no scheduler
-- is needed.
create or replace function remember_answer(
  claimed_scope text, claimed_key text, claimed_fingerprint bytea, given_answer jsonb
) returns boolean
  language plpgsql volatile strict
  set search_path = public, pg_temp
  -- A session that planned this while the table was empty would later read the whole table.
  set enable_seqscan = off
  as $function$
    begin
      delete from idempotency_keys
      where (scope, key) in (
        select scope, key
        from idempotency_keys
        where created_at < now() - interval '24 hours'
        order by created_at
        limit 10
        for update skip locked
      );
      insert into idempotency_keys (scope, key, fingerprint, answer)
      values (claimed_scope, claimed_key, claimed_fingerprint, given_answer)
      -- A key that is still here has expired.
      on conflict on constraint idempotency_keys_pkey do update
      set fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at;
      return true;
    end
  $function$;

create or replace trigger idempotency_keys_set_updated_at
  before update on idempotency_keys
  for each row execute function set_updated_at();
