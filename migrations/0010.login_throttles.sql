-- Counters of failed log-ins, by account and by address, in windows of time.
set local lock_timeout = '2s';

create table if not exists login_throttles (
  -- A SHA-256, because people type passwords into the field of the username.
  bucket bytea not null,
  attempts int not null,
  window_ends_at timestamptz not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint login_throttles_pkey primary key (bucket)
);

-- The oldest windows, to delete them.
create index if not exists login_throttles_window_ends_at_idx on login_throttles (window_ends_at);

create or replace trigger login_throttles_set_updated_at
  before update on login_throttles
  for each row execute function set_updated_at();
