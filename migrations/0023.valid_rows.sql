-- Checks the rows that existed before these constraints. It reads the tables and keeps nobody out.
set local lock_timeout = '2s';

alter table api_keys validate constraint api_keys_name_plain;
alter table invoices validate constraint invoices_description_plain;
alter table invoices validate constraint invoices_void_reason_plain;
alter table invoices validate constraint invoices_payer_id_fkey;
alter table payments validate constraint payments_method_plain;
alter table payments validate constraint payments_reference_plain;
alter table payments validate constraint payments_receipt_id_fkey;
alter table payments validate constraint payments_reverses_id_fkey;
alter table payments validate constraint payments_refunds_of_receipts_name_their_payment;
alter table payments validate constraint payments_reason_length;
alter table payments validate constraint payments_reason_plain;
alter table schools validate constraint schools_currency_fits_the_books;
alter table schools validate constraint schools_name_plain;
alter table students validate constraint students_external_id_plain;
alter table students validate constraint students_full_name_plain;
