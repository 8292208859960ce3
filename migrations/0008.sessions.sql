-- Sessions: one for each log-in. Access tokens name a session, refresh tokens continue it, and both end with it.
set local lock_timeout = '2s';

create table if not exists sessions (
  id uuid not null default uuidv7(),
  user_id uuid not null,
  -- The user's session_generation at the start. The session is valid while the two are equal.
  generation bigint not null,
  -- The address of the client at the start.
  address text,
  expires_at timestamptz not null,
  ended_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint sessions_pkey primary key (id),
  constraint sessions_user_id_fkey foreign key (user_id) references users (id) on delete restrict
);

-- A user's sessions; also the index of the foreign key.
create index if not exists sessions_user_id_address_idx on sessions (user_id, address, created_at);
-- The oldest sessions, to delete them.
create index if not exists sessions_expires_at_idx on sessions (expires_at);

create or replace trigger sessions_set_updated_at
  before update on sessions
  for each row execute function set_updated_at();
