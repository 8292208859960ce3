-- Counts what a client may repeat only so often: log-ins, also with the right password, and refreshes of a session.
set local lock_timeout = '2s';

-- SHA-256 of the username, so that an administrator can lift the throttles of an account. Null for those of addresses.
alter table login_throttles add column if not exists account bytea;

-- Counts an attempt and returns null; if the counter is full, returns the seconds until its window ends. Parallel attempts
-- queue at the counter. Later attempts do not prolong a window.
create or replace function count_attempt(counter bytea, most int, window_seconds int, of_account bytea) returns int
  language plpgsql volatile
  set search_path = public, pg_temp
  as $function$
    begin
      insert into login_throttles as throttle (bucket, attempts, window_ends_at, account)
      values (counter, 1, now() + make_interval(secs => window_seconds), of_account)
      on conflict on constraint login_throttles_pkey do update
      set attempts = case when throttle.window_ends_at <= now() then 1 else throttle.attempts + 1 end,
          window_ends_at = case
            when throttle.window_ends_at <= now() then excluded.window_ends_at
            else throttle.window_ends_at
          end
      where throttle.window_ends_at <= now() or throttle.attempts < most;
      if found then
        return null;
      end if;
      return (
        select greatest(1, ceil(extract(epoch from window_ends_at - now())))
        from login_throttles
        where bucket = counter
      );
    end
  $function$;
