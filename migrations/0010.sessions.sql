-- Sessions: one for each log-in. Access tokens name it, refresh tokens continue it, and whoever ends it ends both.
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

-- Refresh tokens, the spent ones too: to present a spent one ends the session (RFC 9700 section 4.14.2).
create table if not exists refresh_tokens (
  -- SHA-256 of the token, which has 256 random bits: there is nothing to guess, so a slow hash would add nothing.
  token_hash bytea not null,
  session_id uuid not null,
  spent_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint refresh_tokens_pkey primary key (token_hash),
  constraint refresh_tokens_session_id_fkey foreign key (session_id) references sessions (id) on delete restrict
);

-- A session's tokens, for pruning; also the foreign key's index.
create index if not exists refresh_tokens_session_id_idx on refresh_tokens (session_id);

-- How often it was tried to log in, by account and by address, in windows that end by themselves.
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

-- The audit trail tells of logging in, too.
alter table audit_log drop constraint if exists audit_log_action_known;
alter table audit_log add constraint audit_log_action_known
  check (action in ('INSERT', 'UPDATE', 'DELETE', 'LOGIN', 'LOGIN_FAILED', 'TOKEN_REUSED'));

-- Adds an entry about a user who logs in, or somebody who tried to.
create or replace function append_login_to_audit_log(
  noted_action text, noted_user_id uuid, noted_school_id uuid, noted_actor text, noted_request_id text, details jsonb
) returns boolean
  -- As its owner, so that the role of the application needs no right to write entries itself.
  language plpgsql security definer
  as $function$
    begin
      insert into audit_log (school_id, entity, entity_id, action, actor, request_id, row_after)
      values (
        coalesce(noted_school_id, '00000000-0000-0000-0000-000000000000'),
        'users',
        coalesce(noted_user_id, '00000000-0000-0000-0000-000000000000'),
        noted_action,
        noted_actor,
        noted_request_id,
        details
      );
      return true;
    end
  $function$;

do $migration$
begin
  -- pg_temp is searched first unless it is named: a temporary table of the same name would take our place.
  execute format(
    'alter function append_login_to_audit_log(text, uuid, uuid, text, text, jsonb) set search_path = %I, pg_temp',
    current_schema()
  );
end
$migration$;
