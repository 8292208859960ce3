-- People who can log in. A user with a school_id can only see and change that school.
set local lock_timeout = '2s';

create table if not exists users (
  id uuid not null default uuidv7(),
  username text not null,
  password_hash text not null,
  role text not null,
  school_id uuid,
  disabled_at timestamptz,
  password_changed_at timestamptz not null default now(),
  -- Each session stores this number when it starts. Increasing it ends all sessions of the user.
  session_generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint users_pkey primary key (id),
  constraint users_username_key unique (username),
  -- In lower case, so that Admin and admin are one user.
  constraint users_username_shape check (username = lower(username) and char_length(username) between 1 and 255),
  constraint users_password_hash_is_argon2id check (password_hash like '$argon2id$%'),
  constraint users_role_known check (role in ('admin', 'accountant', 'viewer')),
  constraint users_school_id_fkey foreign key (school_id) references schools (id) on delete restrict
);

-- A school's users, ordered by id; also the index of the foreign key.
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
