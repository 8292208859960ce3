-- Idempotency keys (draft-ietf-httpapi-idempotency-key-header): what a POST that carried one has made, for 24 hours.
--
-- The key and what it made commit in one statement (sql/*/create.sql), so a crash cannot come between.
set local lock_timeout = '2s';

create table if not exists idempotency_keys (
  -- The user and the user's school, the method and the path.
  scope text not null,
  key text not null,
  -- SHA-256 of the body: the same key with another body is a mistake of the caller.
  fingerprint bytea not null,
  -- The row that was made, as it was then.
  answer jsonb not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint idempotency_keys_pkey primary key (scope, key),
  constraint idempotency_keys_key_length check (char_length(key) between 1 and 255)
);

-- The oldest, for pruning.
create index if not exists idempotency_keys_created_at_idx on idempotency_keys (created_at);

-- Takes the key for this transaction. It fails with the name of the primary key if the key was used, and at once if another
-- request with it is in flight. This and remember_answer() are strict, so a request without a key, which has null here,
-- calls neither.
create or replace function claim_idempotency_key(claimed_scope text, claimed_key text) returns boolean
  language plpgsql volatile strict
  set search_path = public, pg_temp
  as $function$
    begin
      if not pg_try_advisory_xact_lock(hashtextextended(claimed_key, hashtextextended(claimed_scope, 0))) then
        raise exception 'a request with this key is in flight'
          using errcode = 'integrity_constraint_violation', constraint = 'idempotency_key_in_flight';
      end if;
      -- Under the lock, this sees what the request before it left.
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

-- Keeps what the request made under the key that it claimed. Each call prunes a few of the expired keys, so that they go
-- without a scheduler.
create or replace function remember_answer(
  claimed_scope text, claimed_key text, claimed_fingerprint bytea, given_answer jsonb
) returns boolean
  language plpgsql volatile strict
  set search_path = public, pg_temp
  -- A session keeps the plan that it made while the table was empty, which would read all of it, however large.
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
      -- The claim saw none that has not expired.
      on conflict on constraint idempotency_keys_pkey do update
      set fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at;
      return true;
    end
  $function$;

create or replace trigger idempotency_keys_set_updated_at
  before update on idempotency_keys
  for each row execute function set_updated_at();
