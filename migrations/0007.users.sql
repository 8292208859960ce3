-- Those who may log in. A user with a school_id sees and touches that school alone.
set local lock_timeout = '2s';

create table if not exists users (
  id uuid not null default uuidv7(),
  username text not null,
  password_hash text not null,
  role text not null,
  school_id uuid,
  disabled_at timestamptz,
  password_changed_at timestamptz not null default now(),
  -- Sessions carry the number that this had when they began: one more here ends all of them at once.
  session_generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint users_pkey primary key (id),
  constraint users_username_key unique (username),
  -- Stored in lower case, so that Admin and admin are one user and the unique key needs no expression.
  constraint users_username_shape check (username = lower(username) and char_length(username) between 1 and 255),
  constraint users_password_hash_is_argon2id check (password_hash like '$argon2id$%'),
  constraint users_role_known check (role in ('admin', 'accountant', 'viewer')),
  constraint users_school_id_fkey foreign key (school_id) references schools (id) on delete restrict
);

-- A school's users, page by page in the order of their ids; also the foreign key's index.
create index if not exists users_school_id_id_idx on users (school_id, id);

create or replace trigger users_keep_their_school
  before update of school_id on users
  for each row when (new.school_id is distinct from old.school_id)
  execute function keep_school();
create or replace trigger users_set_updated_at
  before update on users
  for each row execute function set_updated_at();
create or replace trigger users_are_audited
  after insert or update or delete on users
  for each row execute function append_to_audit_log();
create or replace trigger users_never_truncated
  before truncate on users
  for each statement execute function refuse_truncate();
