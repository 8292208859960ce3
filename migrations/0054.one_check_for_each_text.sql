-- One check for each text: its length, and that it is plain. For each statement that writes to a table, PostgreSQL parses
-- the table's checks, so half as many make each write faster.
--
-- contract: a constraint is dropped only to be added again, together with its neighbour
set local lock_timeout = '2s';

-- The functions name their schema, because a search_path of their own would cost each write more than they do.
create or replace function is_plain_text(value text, most int) returns boolean
  language plpgsql immutable strict parallel safe
  as $function$
    begin
      return char_length(value) between 1 and most and public.is_plain_text(value);
    end
  $function$;

create or replace function is_plain_line(value text, most int) returns boolean
  language plpgsql immutable strict parallel safe
  as $function$
    begin
      return public.is_plain_text(value, most) and position(E'\n' in value) = 0;
    end
  $function$;

-- A method of payment is in lower case, and its words are joined by an underscore.
create or replace function is_method(value text) returns boolean
  language plpgsql immutable strict parallel safe
  as $function$
    begin
      return public.is_plain_line(value, 50) and value = lower(value) and value !~ '[\s-]';
    end
  $function$;

alter table adjustment_lines
  drop constraint if exists adjustment_lines_category_length,
  drop constraint if exists adjustment_lines_category_plain,
  add constraint adjustment_lines_category_plain check (is_plain_line(category, 50)) not valid,
  drop constraint if exists adjustment_lines_description_length,
  drop constraint if exists adjustment_lines_description_plain,
  add constraint adjustment_lines_description_plain check (is_plain_line(description, 255)) not valid;

alter table adjustments
  drop constraint if exists adjustments_reason_length,
  drop constraint if exists adjustments_reason_plain,
  add constraint adjustments_reason_plain check (is_plain_text(reason, 500)) not valid;

alter table api_keys
  drop constraint if exists api_keys_name_length,
  drop constraint if exists api_keys_name_plain,
  add constraint api_keys_name_plain check (is_plain_line(name, 100)) not valid;

alter table awards
  drop constraint if exists awards_approved_by_length,
  drop constraint if exists awards_approved_by_plain,
  add constraint awards_approved_by_plain check (is_plain_line(approved_by, 100)) not valid,
  drop constraint if exists awards_description_length,
  drop constraint if exists awards_description_plain,
  add constraint awards_description_plain check (is_plain_line(description, 255)) not valid,
  drop constraint if exists awards_reason_length,
  drop constraint if exists awards_reason_plain,
  add constraint awards_reason_plain check (is_plain_text(reason, 500)) not valid;

alter table billing_runs
  drop constraint if exists billing_runs_period_length,
  drop constraint if exists billing_runs_period_plain,
  add constraint billing_runs_period_plain check (is_plain_line(period, 50)) not valid,
  drop constraint if exists billing_runs_revert_reason_length,
  drop constraint if exists billing_runs_revert_reason_plain,
  add constraint billing_runs_revert_reason_plain check (is_plain_text(revert_reason, 500)) not valid;

alter table closings
  drop constraint if exists closings_reason_length,
  drop constraint if exists closings_reason_plain,
  add constraint closings_reason_plain check (is_plain_text(reason, 500)) not valid,
  drop constraint if exists closings_reopen_reason_length,
  drop constraint if exists closings_reopen_reason_plain,
  add constraint closings_reopen_reason_plain check (is_plain_text(reopen_reason, 500)) not valid;

alter table fee_plan_items
  drop constraint if exists fee_plan_items_category_length,
  drop constraint if exists fee_plan_items_category_plain,
  add constraint fee_plan_items_category_plain check (is_plain_line(category, 50)) not valid,
  drop constraint if exists fee_plan_items_description_length,
  drop constraint if exists fee_plan_items_description_plain,
  add constraint fee_plan_items_description_plain check (is_plain_line(description, 255)) not valid;

alter table fee_plans
  drop constraint if exists fee_plans_name_length,
  drop constraint if exists fee_plans_name_plain,
  add constraint fee_plans_name_plain check (is_plain_line(name, 255)) not valid;

alter table invoice_lines
  drop constraint if exists invoice_lines_category_length,
  drop constraint if exists invoice_lines_category_plain,
  add constraint invoice_lines_category_plain check (is_plain_line(category, 50)) not valid,
  drop constraint if exists invoice_lines_description_length,
  drop constraint if exists invoice_lines_description_plain,
  add constraint invoice_lines_description_plain check (is_plain_line(description, 255)) not valid;

alter table invoices
  drop constraint if exists invoices_void_reason_length,
  drop constraint if exists invoices_void_reason_plain,
  add constraint invoices_void_reason_plain check (is_plain_text(void_reason, 500)) not valid;

alter table payers
  drop constraint if exists payers_email_length,
  drop constraint if exists payers_email_shape,
  add constraint payers_email_shape check (is_plain_line(email, 254) and email ~ '^[^@[:space:]]+@[^@[:space:]]+$') not valid,
  drop constraint if exists payers_external_id_length,
  drop constraint if exists payers_external_id_plain,
  add constraint payers_external_id_plain check (is_plain_line(external_id, 255)) not valid,
  drop constraint if exists payers_name_length,
  drop constraint if exists payers_name_plain,
  add constraint payers_name_plain check (is_plain_line(name, 255)) not valid,
  drop constraint if exists payers_phone_length,
  drop constraint if exists payers_phone_plain,
  add constraint payers_phone_plain check (is_plain_line(phone, 50)) not valid;

alter table payments
  drop constraint if exists payments_method_length,
  drop constraint if exists payments_method_plain,
  add constraint payments_method_plain check (is_method(method)) not valid,
  drop constraint if exists payments_reason_length,
  drop constraint if exists payments_reason_plain,
  add constraint payments_reason_plain check (is_plain_text(reason, 500)) not valid,
  drop constraint if exists payments_reference_length,
  drop constraint if exists payments_reference_plain,
  add constraint payments_reference_plain check (is_plain_line(reference, 255)) not valid;

alter table receipt_refunds
  drop constraint if exists receipt_refunds_method_length,
  drop constraint if exists receipt_refunds_method_plain,
  add constraint receipt_refunds_method_plain check (is_method(method)) not valid,
  drop constraint if exists receipt_refunds_reason_length,
  drop constraint if exists receipt_refunds_reason_plain,
  add constraint receipt_refunds_reason_plain check (is_plain_text(reason, 500)) not valid,
  drop constraint if exists receipt_refunds_reference_length,
  drop constraint if exists receipt_refunds_reference_plain,
  add constraint receipt_refunds_reference_plain check (is_plain_line(reference, 255)) not valid;

alter table receipts
  drop constraint if exists receipts_external_reference_length,
  drop constraint if exists receipts_external_reference_plain,
  add constraint receipts_external_reference_plain check (is_plain_line(external_reference, 255)) not valid,
  drop constraint if exists receipts_method_length,
  drop constraint if exists receipts_method_plain,
  add constraint receipts_method_plain check (is_method(method)) not valid,
  drop constraint if exists receipts_reference_length,
  drop constraint if exists receipts_reference_plain,
  add constraint receipts_reference_plain check (is_plain_line(reference, 255)) not valid,
  drop constraint if exists receipts_reverse_reason_length,
  drop constraint if exists receipts_reverse_reason_plain,
  add constraint receipts_reverse_reason_plain check (is_plain_text(reverse_reason, 500)) not valid,
  drop constraint if exists receipts_source_length,
  drop constraint if exists receipts_source_plain,
  add constraint receipts_source_plain check (is_plain_line(source, 50)) not valid;

alter table schools
  drop constraint if exists schools_address_length,
  drop constraint if exists schools_address_plain,
  add constraint schools_address_plain check (is_plain_text(address, 500)) not valid,
  drop constraint if exists schools_name_length,
  drop constraint if exists schools_name_plain,
  add constraint schools_name_plain check (is_plain_line(name, 255)) not valid,
  drop constraint if exists schools_payment_instructions_length,
  drop constraint if exists schools_payment_instructions_plain,
  add constraint schools_payment_instructions_plain check (is_plain_text(payment_instructions, 1000)) not valid;

alter table students
  drop constraint if exists students_external_id_length,
  drop constraint if exists students_external_id_plain,
  add constraint students_external_id_plain check (is_plain_line(external_id, 255)) not valid,
  drop constraint if exists students_full_name_length,
  drop constraint if exists students_full_name_plain,
  add constraint students_full_name_plain check (is_plain_line(full_name, 255)) not valid,
  drop constraint if exists students_group_name_length,
  drop constraint if exists students_group_name_plain,
  add constraint students_group_name_plain check (is_plain_line(group_name, 100)) not valid;
