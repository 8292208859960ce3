alter table api_keys drop constraint if exists api_keys_name_plain;
alter table payments
  drop constraint if exists payments_method_plain,
  drop constraint if exists payments_reference_plain;
alter table invoices
  drop constraint if exists invoices_description_plain,
  drop constraint if exists invoices_void_reason_plain;
alter table students
  drop constraint if exists students_full_name_plain,
  drop constraint if exists students_external_id_plain,
  drop constraint if exists students_external_id_key,
  add constraint students_external_id_key unique (school_id, external_id);
alter table schools drop constraint if exists schools_name_plain;
