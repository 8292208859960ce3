-- How often it was tried to log in, by account and by address, in windows that end by themselves.
set local lock_timeout = '2s';

create table if not exists login_throttles (
  -- SHA-256 of what is counted: people type passwords where the username goes.
  bucket bytea not null,
  attempts int not null,
  window_ends_at timestamptz not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint login_throttles_pkey primary key (bucket)
);

-- The oldest, for pruning.
create index if not exists login_throttles_window_ends_at_idx on login_throttles (window_ends_at);

create or replace trigger login_throttles_set_updated_at
  before update on login_throttles
  for each row execute function set_updated_at();
