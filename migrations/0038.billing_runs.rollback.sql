drop trigger if exists invoices_keep_their_run on invoices;
drop trigger if exists invoices_come_with_the_commit_of_their_run on invoices;
create or replace trigger invoices_take_their_number
  before insert on invoices
  for each row execute function number_document('INVOICE');
drop function if exists check_invoice_of_run();
alter table invoices drop constraint if exists invoices_of_runs_are_whole;
alter table invoices drop constraint if exists invoices_billing_run_id_fkey;
alter table invoices
  drop column if exists instalment,
  drop column if exists period,
  drop column if exists fee_plan_id,
  drop column if exists billing_run_id;
drop table if exists billing_run_rows;
drop table if exists billing_runs;
drop function if exists number_run();

-- As in 0025.
create or replace function take_number(school uuid, of_series text, taken_at timestamptz) returns text
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    declare
      place record;
      taken_year int;
      taken bigint;
    begin
      select invoice_prefix, time_zone into place
      from schools
      where id = school and invoice_prefix is not null
      for key share;
      if not found then
        return null;
      end if;
      taken_year := extract(year from taken_at at time zone place.time_zone);
      insert into document_counters as counter (school_id, series, year, last_number)
      values (school, of_series, taken_year, 1)
      on conflict on constraint document_counters_pkey do update set last_number = counter.last_number + 1
      returning last_number into taken;
      return document_number(place.invoice_prefix, of_series, taken_year, taken);
    end
  $function$;
drop function if exists take_numbers(uuid, text, timestamptz, int);
drop function if exists bill_students(uuid, uuid, int, text, date[], date, text, uuid[]);
drop function if exists discount_lines(numeric[], text[], jsonb, int);
drop function if exists is_ascending(date[]);
drop function if exists instalment_of(numeric, bigint, int, int);
