-- Keeps invisible characters out of every text, and methods of payment in lower case, for every writer. The rows that exist
-- are tidy already, but only a later migration can validate the checks, because that reads the tables.
--
-- contract: a unique index on (school_id, lower(external_id)) takes the place of students_external_id_key
set local lock_timeout = '2s';

alter table schools
  drop constraint if exists schools_name_plain,
  add constraint schools_name_plain check (is_plain_text(name) and position(E'\n' in name) = 0) not valid;

alter table students
  drop constraint if exists students_full_name_plain,
  add constraint students_full_name_plain check (is_plain_text(full_name) and position(E'\n' in full_name) = 0) not valid,
  drop constraint if exists students_external_id_plain,
  add constraint students_external_id_plain
    check (is_plain_text(external_id) and position(E'\n' in external_id) = 0) not valid,
  -- students_school_id_external_id_key refuses more: the same external id in another case.
  drop constraint if exists students_external_id_key;

alter table invoices
  drop constraint if exists invoices_description_plain,
  add constraint invoices_description_plain check (is_plain_text(description)) not valid,
  drop constraint if exists invoices_void_reason_plain,
  add constraint invoices_void_reason_plain check (is_plain_text(void_reason)) not valid;

alter table payments
  drop constraint if exists payments_method_plain,
  add constraint payments_method_plain
    check (is_plain_text(method) and method = lower(method) and method !~ '[\s-]') not valid,
  drop constraint if exists payments_reference_plain,
  add constraint payments_reference_plain check (is_plain_text(reference) and position(E'\n' in reference) = 0) not valid;

alter table api_keys
  drop constraint if exists api_keys_name_plain,
  add constraint api_keys_name_plain check (is_plain_text(name) and position(E'\n' in name) = 0) not valid;

-- For lists, which call it as `(:offset::bigint is not null or plan_for_these_values())`. PostgreSQL folds that to true when
-- it plans a statement for the values of one request. It would have to call this in a plan for all values, which the cost
-- forbids. So a list gets a plan of its own each time: one filter or another can use its index, in one order or the other.
create or replace function plan_for_these_values() returns boolean
  language plpgsql volatile cost 1e9
  set search_path = pg_catalog, pg_temp
  as $function$
    begin
      return true;
    end
  $function$;

-- The least id that uuidv7() makes on a day of UTC.
create or replace function first_id_of(day date) returns uuid
  language sql immutable parallel safe
  return (
    lpad(to_hex(greatest(extract(epoch from day::timestamp at time zone 'UTC'), 0)::bigint * 1000), 12, '0')
    || repeat('0', 20)
  )::uuid;

-- As before, and the id of an entry is made here, too, so that ids follow the moments of the entries, whoever writes.
create or replace function keep_audit_log() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    begin
      if tg_op = 'INSERT' then
        new.id := uuidv7();
        new.position := null;
        new.hash := null;
        new.database_role := session_user;
        new.created_at := clock_timestamp();
        return new;
      end if;
      if tg_op = 'UPDATE' and old.hash is null and new.hash is not null
         and to_jsonb(new) - array['position', 'hash', 'updated_at'] = to_jsonb(old) - array['position', 'hash', 'updated_at']
      then
        return new;
      end if;
      raise exception 'the audit trail is only ever added to'
        using errcode = 'integrity_constraint_violation', constraint = 'audit_log_append_only', table = 'audit_log';
    end
  $function$;
