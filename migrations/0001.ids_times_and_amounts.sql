-- What every table and statement uses: ids, the clock of a change, and how an instant and an amount become text.
--
-- A function with a plain `return` is an expression: PostgreSQL puts it into the query that calls it. It must not set its
-- search_path for that, and need not: the names in it are resolved here, once. Every other function sets it.
set local lock_timeout = '2s';

-- Time-ordered ids (UUID version 7, RFC 9562 section 5.7), so that a new row lands at the end of its index
-- and "ordered by id" means "in the order of creation".
--
-- PostgreSQL 18 brings its own uuidv7(); for 15 to 17 this adds one of the same name. The twelve bits after
-- the version hold the fraction of the millisecond (method 3 of the RFC), as PostgreSQL 18 does it.
do $migration$
begin
  if current_setting('server_version_num')::int < 180000 then
    create or replace function public.uuidv7() returns uuid
      language sql volatile parallel safe
      set search_path = pg_catalog, pg_temp
      as $function$
        select (
             lpad(to_hex(clock.microseconds / 1000), 12, '0')
          || '7' || lpad(to_hex(clock.microseconds % 1000 * 4096 / 1000), 3, '0')
          || right(replace(gen_random_uuid()::text, '-', ''), 16)
        )::uuid
        from (select (extract(epoch from clock_timestamp()) * 1000000)::bigint as microseconds) as clock
      $function$;
  end if;
end
$migration$;

-- Sets updated_at, which is the row's version and its entity tag: always greater than before, even where a transaction
-- that began earlier commits later, or the clock is set back. It names no table, so a search_path would protect nothing,
-- and setting one for every changed row costs a payment 3 percent.
create or replace function set_updated_at() returns trigger
  language plpgsql
  as $function$
    begin
      new.updated_at := greatest(now(), old.updated_at + interval '1 microsecond');
      return new;
    end
  $function$;

-- An instant as the API writes it (RFC 3339): in UTC, with microseconds.
create or replace function instant_text(instant timestamptz) returns text
  language sql stable parallel safe
  return to_char(instant at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

-- A sum as the API writes it: text, because most readers of JSON take its numbers for floats. No rows sum to 0.00.
create or replace function amount_text(amount numeric) returns text
  language sql immutable parallel safe
  return coalesce(amount, 0.00)::text;
