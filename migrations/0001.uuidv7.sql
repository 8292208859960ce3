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
