-- API keys: for programs that call the API, with a role and perhaps a school like a user.
set local lock_timeout = '2s';

create table if not exists api_keys (
  id uuid not null default uuidv7(),
  name text not null,
  -- SHA-256 of the key. 256 random bits cannot be guessed, so a slow hash would add nothing.
  key_hash bytea not null,
  -- The first characters of the key, which help people and are of no use to a thief.
  key_prefix text not null,
  role text not null,
  school_id uuid,
  -- The name of the user who added the key. A key outlives that account.
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

-- Two keys in use never have the same name, because the audit trail shows it. The name of a revoked key is free again.
create unique index if not exists api_keys_name_key on api_keys (school_id, name) nulls not distinct
  where revoked_at is null;
-- A school's keys, ordered by id; also the index of the foreign key.
create index if not exists api_keys_school_id_id_idx on api_keys (school_id, id);

create or replace trigger api_keys_keep_their_school
  before update of school_id on api_keys
  for each row when (new.school_id is distinct from old.school_id)
  execute function keep_school();
create or replace trigger api_keys_set_updated_at
  before update on api_keys
  for each row execute function set_updated_at();
-- Using a key is not an audited change.
create or replace trigger api_keys_are_audited
  after insert or delete or update of name, key_hash, role, school_id, revoked_at on api_keys
  for each row execute function append_to_audit_log();
create or replace trigger api_keys_never_truncated
  before truncate on api_keys
  for each statement execute function refuse_truncate();
