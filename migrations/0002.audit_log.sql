-- The audit trail: every change of the audited tables, by the API or by hand.
--
-- A trigger writes an entry in the transaction of the change. sql/ledger/seal.sql seals it a moment later: it gets a
-- position in the chain of its school, and a hash of its content and of the entry before. Sealing inside the requests would
-- make all writes of a school wait for each other.
set local lock_timeout = '2s';

create table if not exists audit_log (
  id uuid not null default uuidv7(),
  -- The nil UUID if the row belongs to no school. There is no foreign key, because entries outlive the rows.
  school_id uuid not null,
  entity text not null,
  entity_id uuid not null,
  action text not null,
  actor text not null,
  -- The role that was logged in. A session can claim any actor, but not this.
  database_role text not null default session_user,
  request_id text,
  row_before jsonb,
  row_after jsonb,
  position bigint,
  hash bytea,
  created_at timestamptz not null default clock_timestamp(),
  -- When the entry was sealed, which is its only change.
  updated_at timestamptz not null default now(),

  constraint audit_log_pkey primary key (id, school_id),
  constraint audit_log_position_key unique (school_id, position),
  constraint audit_log_action_known
    check (action in ('INSERT', 'UPDATE', 'DELETE', 'LOGIN', 'LOGIN_FAILED', 'TOKEN_REUSED')),
  constraint audit_log_sealed_whole check ((position is null) = (hash is null))
);

-- The entries of one row, page by page.
create index if not exists audit_log_entity_id_idx on audit_log (entity_id, id);
-- The entries of one school, page by page.
create index if not exists audit_log_school_id_id_idx on audit_log (school_id, id);
-- The unsealed entries: always a few.
create index if not exists audit_log_unsealed_idx on audit_log (id) where hash is null;

-- Sets the actor for the triggers until the transaction ends. If it is null, they name the role of the database. Every
-- statement of the API that writes calls this.
create or replace function written_by(actor text, request_id text) returns boolean
  language sql volatile
  return set_config('school_billing.actor', coalesce(actor, ''), true) is not null
     and set_config('school_billing.request_id', coalesce(request_id, ''), true) is not null;

-- Adds an entry about a changed row, without its secrets.
create or replace function append_to_audit_log() returns trigger
  -- As the owner, so that the role of the service needs no right to write entries.
  language plpgsql security definer
  -- PostgreSQL would search pg_temp first if it were not named, and could find a temporary table with this name there.
  set search_path = public, pg_temp
  -- Instants in the rows must not depend on the time zone of the session.
  set timezone = 'UTC'
  as $function$
    declare
      row_before jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) - array['password_hash', 'key_hash'] end;
      row_after jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) - array['password_hash', 'key_hash'] end;
      present jsonb := coalesce(row_after, row_before);
      -- On a partition or a shard, tg_table_name is the name of that part, such as invoices_102244.
      table_name text := rtrim(tg_table_name, '_0123456789');
    begin
      insert into audit_log (school_id, entity, entity_id, action, actor, request_id, row_before, row_after)
      values (
        coalesce(
          (case when table_name = 'schools' then present ->> 'id' else present ->> 'school_id' end)::uuid,
          '00000000-0000-0000-0000-000000000000'
        ),
        table_name,
        (present ->> 'id')::uuid,
        tg_op,
        coalesce(nullif(current_setting('school_billing.actor', true), ''), 'role:' || session_user),
        nullif(current_setting('school_billing.request_id', true), ''),
        row_before,
        row_after
      );
      return null;
    end
  $function$;

-- Adds an entry about a log-in, or an attempt to log in.
create or replace function append_login_to_audit_log(
  noted_action text, noted_user_id uuid, noted_school_id uuid, noted_actor text, noted_request_id text, details jsonb
) returns boolean
  -- As the owner, like append_to_audit_log().
  language plpgsql security definer
  set search_path = public, pg_temp
  as $function$
    begin
      insert into audit_log (school_id, entity, entity_id, action, actor, request_id, row_after)
      values (
        coalesce(noted_school_id, '00000000-0000-0000-0000-000000000000'),
        'users',
        coalesce(noted_user_id, '00000000-0000-0000-0000-000000000000'),
        noted_action,
        noted_actor,
        noted_request_id,
        details
      );
      return true;
    end
  $function$;

-- Allows inserts and the sealing of an entry, and refuses every other change.
create or replace function keep_audit_log() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    begin
      if tg_op = 'INSERT' then
        new.position := null;
        new.hash := null;
        new.database_role := session_user;
        new.created_at := clock_timestamp();
        return new;
      end if;
      if tg_op = 'UPDATE' and old.hash is null and new.hash is not null
         and to_jsonb(new) - array['position', 'hash', 'updated_at'] = to_jsonb(old) - array['position', 'hash', 'updated_at']
      then
        return new;
      end if;
      raise exception 'the audit trail is only ever added to'
        using errcode = 'integrity_constraint_violation', constraint = 'audit_log_append_only', table = 'audit_log';
    end
  $function$;

create or replace function refuse_truncate() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
  as $function$
    begin
      raise exception 'the rows of % are deleted one by one, so that the audit trail sees it', tg_table_name
        using errcode = 'integrity_constraint_violation', constraint = 'audited_tables_never_truncated';
    end
  $function$;

-- The hash of the content of an entry, without its seal.
create or replace function audit_digest(entry audit_log) returns bytea
  language sql stable
  return sha256(convert_to(
    jsonb_build_array(
      entry.id, entry.school_id, entry.entity, entry.entity_id, entry.action, entry.actor, entry.database_role,
      entry.request_id, extract(epoch from entry.created_at), entry.row_before, entry.row_after
    )::text,
    'UTF8'
  ));

-- The hash of a sealed entry: of the hash before it (`tip` for the first new entry of a chain) and of its digest.
create or replace function audit_link(previous bytea, tip bytea, digest bytea) returns bytea
  language sql immutable
  return sha256(coalesce(previous, tip, '') || digest);

-- Hashes a whole chain in one pass, as a window function.
create or replace aggregate audit_chain (tip bytea, digest bytea) (sfunc = audit_link, stype = bytea);

create or replace trigger audit_log_append_only
  before insert or update or delete on audit_log
  for each row execute function keep_audit_log();
create or replace trigger audit_log_never_truncated
  before truncate on audit_log
  for each statement execute function keep_audit_log();
create or replace trigger audit_log_set_updated_at
  before update on audit_log
  for each row execute function set_updated_at();
