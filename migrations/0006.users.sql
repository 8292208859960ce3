-- Those who may log in. A user with a school_id sees and touches that school alone.
create table if not exists users (
  id uuid not null default uuidv7(),
  username text not null,
  password_hash text not null,
  role text not null,
  school_id uuid,
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

-- The foreign key's index.
create index if not exists users_school_id_idx on users (school_id);
