-- The audit trail: every change to the tables that carry its trigger, by the API or by hand.
--
-- An entry is written by a trigger in the transaction of the change. It is sealed a moment later, outside of any
-- request (sql/ledger/seal.sql): it gets its place in the chain of its school and a hash that covers its content and
-- the entry before it. Chaining it in the request would make all writes of a school wait for each other.
set local lock_timeout = '2s';

create table if not exists audit_log (
  id uuid not null default uuidv7(),
  -- The nil UUID stands for what belongs to no school, such as an administrator of all. There is no foreign key:
  -- the trail outlives what it tells of.
  school_id uuid not null,
  entity text not null,
  entity_id uuid not null,
  action text not null,
  actor text not null,
  -- Who was logged in to the database: what a session says of its actor is its own word, this is not.
  database_role text not null default session_user,
  request_id text,
  row_before jsonb,
  row_after jsonb,
  position bigint,
  hash bytea,
  created_at timestamptz not null default clock_timestamp(),
  -- When it was sealed; nothing else of an entry ever changes.
  updated_at timestamptz not null default now(),

  constraint audit_log_pkey primary key (id, school_id),
  constraint audit_log_position_key unique (school_id, position),
  constraint audit_log_action_known
    check (action in ('INSERT', 'UPDATE', 'DELETE', 'LOGIN', 'LOGIN_FAILED', 'TOKEN_REUSED')),
  constraint audit_log_sealed_whole check ((position is null) = (hash is null))
);

-- The history of one thing, page by page.
create index if not exists audit_log_entity_id_idx on audit_log (entity_id, id);
-- The history of one school, page by page.
create index if not exists audit_log_school_id_id_idx on audit_log (school_id, id);
-- What waits to be sealed: nearly nothing at any time, however long the trail.
create index if not exists audit_log_unsealed_idx on audit_log (id) where hash is null;

-- Tells the triggers who writes, for the rest of the transaction; null means nobody in particular, and then the
-- database's role is named. Every statement of the API that writes calls it.
create or replace function written_by(actor text, request_id text) returns boolean
  language sql volatile
  return set_config('school_billing.actor', coalesce(actor, ''), true) is not null
     and set_config('school_billing.request_id', coalesce(request_id, ''), true) is not null;

-- Adds an entry about the row that was changed. Secrets stay out of it.
create or replace function append_to_audit_log() returns trigger
  -- As its owner, so that the role of the application needs no right to write entries itself.
  language plpgsql security definer
  -- pg_temp is searched first unless it is named: a temporary table of the same name would take our place.
  set search_path = public, pg_temp
  -- The rows are kept as text would show them, and that must not depend on whose session it is.
  set timezone = 'UTC'
  as $function$
    declare
      row_before jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) - array['password_hash', 'key_hash'] end;
      row_after jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) - array['password_hash', 'key_hash'] end;
      present jsonb := coalesce(row_after, row_before);
      -- On a part of a table, a partition or a shard on a cluster, a trigger is told the part's name, such as
      -- invoices_102244. No table of ours ends in a number.
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

-- Adds an entry about a user who logs in, or somebody who tried to.
create or replace function append_login_to_audit_log(
  noted_action text, noted_user_id uuid, noted_school_id uuid, noted_actor text, noted_request_id text, details jsonb
) returns boolean
  -- As its owner, like append_to_audit_log().
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

-- Lets an entry be added, and sealed once; refuses everything else.
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

-- What the hash of an entry covers: all that it says, and nothing of the seal.
create or replace function audit_digest(entry audit_log) returns bytea
  language sql stable
  return sha256(convert_to(
    jsonb_build_array(
      entry.id, entry.school_id, entry.entity, entry.entity_id, entry.action, entry.actor, entry.database_role,
      entry.request_id, extract(epoch from entry.created_at), entry.row_before, entry.row_after
    )::text,
    'UTF8'
  ));

-- The hash of an entry: over the hash of the one before it (`tip`, where the chain goes on from there) and its digest.
create or replace function audit_link(previous bytea, tip bytea, digest bytea) returns bytea
  language sql immutable
  return sha256(coalesce(previous, tip, '') || digest);

-- As a window function it hashes a whole chain in one pass.
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
