-- Numbers of invoices and receipts, without gaps: A-2026-000123, A-R-2026-000001. A school that has an invoice_prefix
-- numbers them, each series by itself from 1 in every year.
set local lock_timeout = '2s';

alter table schools
  add column if not exists invoice_prefix text
    constraint schools_invoice_prefix_shape check (invoice_prefix ~ '^[A-Z0-9]{1,10}$');
-- Null if the school had no prefix when the document was made.
alter table invoices add column if not exists number text;
alter table receipts add column if not exists number text;

-- The last number of each series and year of a school. The series are INVOICE, RECEIPT and CREDIT_NOTE.
create table if not exists document_counters (
  school_id uuid not null,
  series text not null,
  year int not null,
  last_number bigint not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint document_counters_pkey primary key (school_id, series, year),
  constraint document_counters_school_id_fkey foreign key (school_id) references schools (id) on delete restrict,
  constraint document_counters_series_known check (series in ('INVOICE', 'CREDIT_NOTE', 'RECEIPT')),
  constraint document_counters_last_number_positive check (last_number > 0)
);

-- How a number is written: six digits, or more where they are needed. Credit notes have a C and receipts an R.
create or replace function document_number(prefix text, series text, year int, number bigint) returns text
  language sql immutable parallel safe
  return prefix || case series when 'INVOICE' then '-' when 'CREDIT_NOTE' then '-C-' when 'RECEIPT' then '-R-' end
    || year::text || '-' || lpad(number::text, greatest(6, char_length(number::text)), '0');

-- The next number of a series of a school; null if the school has no prefix. The year is that of `taken_at` in the
-- school's time zone: of the moment at which the number is taken, not of the date on the document.
--
-- The counter stays locked until the transaction ends. So the numbers are in the order of the commits, and a statement that
-- fails gives its number back. The lock of the school is for the first number: a prefix that changes at this moment is
-- waited for.
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

-- Gives a new document its number. The trigger's argument is the series. An `insert ... on conflict do nothing` by hand
-- would take a number even for a row that it leaves out, and `ledger verify` would name the gap.
create or replace function number_document() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    begin
      if new.number is not null then
        raise exception 'the number of % % is given by the database', tg_table_name, new.id
          using errcode = 'integrity_constraint_violation',
                constraint = 'document_numbers_follow_counters',
                table = tg_table_name;
      end if;
      new.number := take_number(new.school_id, tg_argv[0], now());
      return new;
    end
  $function$;

-- Refuses a counter that is changed by hand.
create or replace function keep_counter() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
  as $function$
    begin
      raise exception 'only a new document changes a counter'
        using errcode = 'integrity_constraint_violation',
              constraint = 'document_numbers_follow_counters',
              table = tg_table_name;
    end
  $function$;

-- Refuses another prefix once a number has it. It waits for the documents that are being made.
create or replace function keep_invoice_prefix() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    begin
      perform 1 from schools where id = old.id for update;
      if exists (select 1 from document_counters where school_id = old.id) then
        raise exception 'school % has documents whose numbers begin with %', old.id, old.invoice_prefix
          using errcode = 'integrity_constraint_violation',
                constraint = 'schools_invoice_prefix_is_fixed',
                table = 'schools';
      end if;
      return new;
    end
  $function$;

create or replace trigger document_counters_follow_documents
  before insert or update or delete on document_counters
  for each row when (pg_trigger_depth() = 0)
  execute function keep_counter();
create or replace trigger document_counters_set_updated_at
  before update on document_counters
  for each row execute function set_updated_at();
create or replace trigger document_counters_never_truncated
  before truncate on document_counters
  for each statement execute function refuse_truncate();

create or replace trigger schools_keep_their_invoice_prefix
  before update of invoice_prefix on schools
  for each row when (old.invoice_prefix is not null and new.invoice_prefix is distinct from old.invoice_prefix)
  execute function keep_invoice_prefix();

create or replace trigger invoices_take_their_number
  before insert on invoices
  for each row execute function number_document('INVOICE');
create or replace trigger invoices_keep_their_number
  before update of number on invoices
  for each row when (new.number is distinct from old.number)
  execute function refuse_change_of_movement('invoices_number_is_fixed');
create or replace trigger invoices_with_number_stay
  before delete on invoices
  for each row when (old.number is not null)
  execute function refuse_change_of_movement('invoices_numbered_are_voided');

create or replace trigger receipts_take_their_number
  before insert on receipts
  for each row execute function number_document('RECEIPT');
create or replace trigger receipts_keep_their_number
  before update of number on receipts
  for each row when (new.number is distinct from old.number)
  execute function refuse_change_of_movement('receipts_are_fixed');
create or replace trigger receipts_with_number_stay
  before delete on receipts
  for each row when (old.number is not null)
  execute function refuse_change_of_movement('receipts_are_fixed');
