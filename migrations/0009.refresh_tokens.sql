-- Refresh tokens, with the spent ones: a token that is used again ends its session (RFC 9700 section 4.14.2).
set local lock_timeout = '2s';

create table if not exists refresh_tokens (
  -- SHA-256 of the token. 256 random bits cannot be guessed, so a slow hash would add nothing.
  token_hash bytea not null,
  session_id uuid not null,
  spent_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint refresh_tokens_pkey primary key (token_hash),
  constraint refresh_tokens_session_id_fkey foreign key (session_id) references sessions (id) on delete restrict
);

-- A session's tokens, to delete them; also the index of the foreign key.
create index if not exists refresh_tokens_session_id_idx on refresh_tokens (session_id);

create or replace trigger refresh_tokens_set_updated_at
  before update on refresh_tokens
  for each row execute function set_updated_at();
