-- What all tables and statements use: ids, updated_at, and instants and amounts as text.
--
-- PostgreSQL inlines a function with a plain `return`, so that function must not set its search_path. It need not, because
-- its names are resolved here. Every other function sets it.
set local lock_timeout = '2s';

-- Time-ordered ids (UUID version 7, RFC 9562 section 5.7): new rows go to the end of the index, and "ordered by id" means
-- "in the order of creation". PostgreSQL 18 has its own uuidv7(). For 15 to 17 this adds the same function: the twelve bits
-- after the version hold the fraction of the millisecond (method 3 of the RFC).
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

-- Sets updated_at, which is the version and the entity tag of a row. It always grows, even if the clock is set back or an
-- earlier transaction commits later. It sets no search_path, because it names no table and that would cost a payment 3 %.
create or replace function set_updated_at() returns trigger
  language plpgsql
  as $function$
    begin
      new.updated_at := greatest(now(), old.updated_at + interval '1 microsecond');
      return new;
    end
  $function$;

-- An instant in an answer (RFC 3339): in UTC, with microseconds.
create or replace function instant_text(instant timestamptz) returns text
  language sql stable parallel safe
  return to_char(instant at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

-- An amount in an answer: text, because most JSON parsers read numbers as floats. A sum of no rows is 0.00.
create or replace function amount_text(amount numeric) returns text
  language sql immutable parallel safe
  return coalesce(amount, 0.00)::text;
