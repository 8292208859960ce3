-- Schools: the tenants. The tables of students, invoices and payments have a school_id.
set local lock_timeout = '2s';

create table if not exists schools (
  id uuid not null default uuidv7(),
  name text not null,
  currency text not null default 'USD',
  time_zone text not null default 'UTC',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint schools_pkey primary key (id),
  constraint schools_name_length check (char_length(name) between 1 and 255),
  constraint schools_currency_is_iso_4217 check (currency ~ '^[A-Z]{3}$'),
  -- An unknown time zone makes the expression itself fail (22023).
  constraint schools_time_zone_is_known check ((timestamptz 'epoch' at time zone time_zone) is not null)
);

-- The last moment of a school's day, which is the one before the next day begins, because not all days have 24 hours.
create or replace function end_of_day(day date, time_zone text) returns timestamptz
  language sql stable parallel safe
  return (day + 1)::timestamp at time zone time_zone - interval '1 microsecond';

-- Refuses to move a payment, user or API key to another school, so that one school's audit trail has the whole history of
-- a row. Foreign keys keep students with invoices, and invoices with payments, in their school.
create or replace function keep_school() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
  as $function$
    begin
      raise exception '% stay in their school', tg_table_name
        using errcode = 'integrity_constraint_violation', constraint = 'school_id_is_fixed', table = tg_table_name;
    end
  $function$;

create or replace trigger schools_set_updated_at
  before update on schools
  for each row execute function set_updated_at();
create or replace trigger schools_are_audited
  after insert or update or delete on schools
  for each row execute function append_to_audit_log();
create or replace trigger schools_never_truncated
  before truncate on schools
  for each statement execute function refuse_truncate();
