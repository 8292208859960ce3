-- Sessions: one for each log-in. Access tokens name it, refresh tokens continue it, and its end ends both.
set local lock_timeout = '2s';

create table if not exists sessions (
  id uuid not null default uuidv7(),
  user_id uuid not null,
  -- The user's session_generation when it began; it is good for as long as the two are equal.
  generation bigint not null,
  -- Where it began: an address that a user has come from is throttled apart from strangers.
  address text,
  expires_at timestamptz not null,
  ended_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint sessions_pkey primary key (id),
  constraint sessions_user_id_fkey foreign key (user_id) references users (id) on delete restrict
);

-- Whether a user has come from an address; also the foreign key's index.
create index if not exists sessions_user_id_address_idx on sessions (user_id, address, created_at);
-- The oldest, for pruning.
create index if not exists sessions_expires_at_idx on sessions (expires_at);

create or replace trigger sessions_set_updated_at
  before update on sessions
  for each row execute function set_updated_at();
