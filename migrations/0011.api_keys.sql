-- API keys: for machines that call the API as a user would, with a role and perhaps a school.
create table if not exists api_keys (
  id uuid not null default uuidv7(),
  name text not null,
  -- SHA-256 of the key, which has 256 random bits: there is nothing to guess, so a slow hash would add nothing.
  key_hash bytea not null,
  -- How the key begins, for people to tell keys apart; too little of it to be of use.
  key_prefix text not null,
  role text not null,
  school_id uuid,
  -- Who made it: keys outlive the accounts of those who make them.
  created_by text not null,
  last_used_at timestamptz,
  revoked_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint api_keys_pkey primary key (id),
  constraint api_keys_key_hash_key unique (key_hash),
  constraint api_keys_name_length check (char_length(name) between 1 and 100),
  constraint api_keys_role_known check (role in ('admin', 'accountant', 'viewer')),
  constraint api_keys_school_id_fkey foreign key (school_id) references schools (id) on delete restrict
);

-- Two keys in use never have one name, for the audit trail names its actors; a revoked key's name is free again.
create unique index if not exists api_keys_name_key on api_keys (school_id, name) nulls not distinct
  where revoked_at is null;
-- A school's keys, page by page in the order of their ids; also the foreign key's index.
create index if not exists api_keys_school_id_id_idx on api_keys (school_id, id);

-- As before, and without the hash of a key.
create or replace function append_to_audit_log() returns trigger
  -- As its owner, so that the role of the application needs no right to write entries itself.
  language plpgsql security definer
  -- The rows are kept as text would show them, and that must not depend on whose session it is.
  set timezone = 'UTC'
  as $function$
    declare
      row_before jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) - array['password_hash', 'key_hash'] end;
      row_after jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) - array['password_hash', 'key_hash'] end;
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

do $migration$
begin
  -- pg_temp is searched first unless it is named: a temporary table of the same name would take our place.
  execute format('alter function %s set search_path = %I, pg_temp', 'append_to_audit_log()', current_schema());
  if not exists (select from pg_trigger where tgname = 'api_keys_are_audited' and tgrelid = 'api_keys'::regclass) then
    -- That a key was used is no change of it.
    create trigger api_keys_are_audited
      after insert or delete or update of name, key_hash, role, school_id, revoked_at on api_keys
      for each row execute function append_to_audit_log();
    create trigger api_keys_never_truncated
      before truncate on api_keys
      for each statement execute function refuse_truncate();
    create trigger api_keys_keep_their_school
      before update of school_id on api_keys
      for each row when (old.school_id is distinct from new.school_id)
      execute function keep_school();
  end if;
end
$migration$;
