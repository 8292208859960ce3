-- The audit trail: every change to schools, students, invoices, payments and users, whoever makes it.
--
-- An entry is written by a trigger in the transaction of the change. It is sealed a moment later, outside of any
-- request (sql/ledger/seal.sql): it gets its place in the chain of its school and a hash that covers its content and
-- the entry before it. Chaining it in the request would make all writes of a school wait for each other.
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
  constraint audit_log_action_known check (action in ('INSERT', 'UPDATE', 'DELETE')),
  constraint audit_log_sealed_whole check ((position is null) = (hash is null))
);

-- The history of one thing, page by page.
create index if not exists audit_log_entity_id_idx on audit_log (entity_id, id);
-- The history of one school, page by page.
create index if not exists audit_log_school_id_id_idx on audit_log (school_id, id);
-- What waits to be sealed: nearly nothing at any time, however long the trail.
create index if not exists audit_log_unsealed_idx on audit_log (id) where hash is null;

-- Tells the triggers who writes, for the rest of the transaction; null means nobody in particular, and then the
-- database's role is named. Every statement of the API that writes has it in its FROM.
create or replace function written_by(actor text, request_id text) returns boolean
  language sql volatile
  as $function$
    select set_config('school_billing.actor', coalesce(actor, ''), true) is not null
       and set_config('school_billing.request_id', coalesce(request_id, ''), true) is not null
  $function$;

create or replace function append_to_audit_log() returns trigger
  -- As its owner, so that the role of the application needs no right to write entries itself.
  language plpgsql security definer
  -- The rows are kept as text would show them, and that must not depend on whose session it is.
  set timezone = 'UTC'
  as $function$
    declare
      row_before jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) - 'password_hash' end;
      row_after jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) - 'password_hash' end;
      present jsonb := coalesce(row_after, row_before);
    begin
      insert into audit_log (school_id, entity, entity_id, action, actor, request_id, row_before, row_after)
      values (
        coalesce(
          (case when tg_table_name = 'schools' then present ->> 'id' else present ->> 'school_id' end)::uuid,
          '00000000-0000-0000-0000-000000000000'
        ),
        tg_table_name,
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

create or replace function keep_audit_log() returns trigger
  language plpgsql
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

-- What the hash of an entry covers: all that it says, and nothing of the seal.
create or replace function audit_digest(entry audit_log) returns bytea
  language sql stable
  as $function$
    select sha256(convert_to(
      jsonb_build_array(
        entry.id, entry.school_id, entry.entity, entry.entity_id, entry.action, entry.actor, entry.database_role,
        entry.request_id, extract(epoch from entry.created_at), entry.row_before, entry.row_after
      )::text,
      'UTF8'
    ))
  $function$;

create or replace function refuse_truncate() returns trigger
  language plpgsql
  as $function$
    begin
      raise exception 'the rows of % are deleted one by one, so that the audit trail sees it', tg_table_name
        using errcode = 'integrity_constraint_violation', constraint = 'audited_tables_never_truncated';
    end
  $function$;

-- The hash of an entry: over the hash of the one before it (`tip`, where the chain goes on from there) and its digest.
create or replace function audit_link(previous bytea, tip bytea, digest bytea) returns bytea
  language sql immutable
  as $function$ select sha256(coalesce(previous, tip, '') || digest) $function$;

do $migration$
declare
  audited text;
begin
  -- pg_temp is searched first unless it is named: a temporary table of the same name would take our place.
  execute format('alter function %s set search_path = %I, pg_temp', 'append_to_audit_log()', current_schema());
  if not exists (select from pg_proc where proname = 'audit_chain' and pronamespace = current_schema()::regnamespace) then
    -- As a window function it hashes a whole chain in one pass.
    create aggregate audit_chain (tip bytea, digest bytea) (sfunc = audit_link, stype = bytea);
  end if;
  foreach audited in array array['schools', 'students', 'invoices', 'payments', 'users'] loop
    if not exists (select from pg_trigger where tgname = audited || '_are_audited' and tgrelid = audited::regclass) then
      execute format(
        'create trigger %I after insert or update or delete on %I for each row execute function append_to_audit_log()',
        audited || '_are_audited', audited
      );
      execute format(
        'create trigger %I before truncate on %I for each statement execute function refuse_truncate()',
        audited || '_never_truncated', audited
      );
    end if;
  end loop;
  if not exists (select from pg_trigger where tgname = 'audit_log_append_only' and tgrelid = 'audit_log'::regclass) then
    create trigger audit_log_append_only
      before insert or update or delete on audit_log
      for each row execute function keep_audit_log();
    create trigger audit_log_never_truncated
      before truncate on audit_log
      for each statement execute function keep_audit_log();
  end if;
end
$migration$;
