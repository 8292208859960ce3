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
