set local lock_timeout = '2s';

alter table adjustment_lines
  drop constraint if exists adjustment_lines_category_plain,
  add constraint adjustment_lines_category_plain check (is_plain_text(category) and position(E'\n' in category) = 0) not valid,
  add constraint adjustment_lines_category_length check (char_length(category) between 1 and 50) not valid,
  drop constraint if exists adjustment_lines_description_plain,
  add constraint adjustment_lines_description_plain check (is_plain_text(description) and position(E'\n' in description) = 0) not valid,
  add constraint adjustment_lines_description_length check (char_length(description) between 1 and 255) not valid;

alter table adjustments
  drop constraint if exists adjustments_reason_plain,
  add constraint adjustments_reason_plain check (is_plain_text(reason)) not valid,
  add constraint adjustments_reason_length check (char_length(reason) between 1 and 500) not valid;

alter table api_keys
  drop constraint if exists api_keys_name_plain,
  add constraint api_keys_name_plain check (is_plain_text(name) and position(E'\n' in name) = 0) not valid,
  add constraint api_keys_name_length check (char_length(name) between 1 and 100) not valid;

alter table awards
  drop constraint if exists awards_approved_by_plain,
  add constraint awards_approved_by_plain check (is_plain_text(approved_by) and position(E'\n' in approved_by) = 0) not valid,
  add constraint awards_approved_by_length check (char_length(approved_by) between 1 and 100) not valid,
  drop constraint if exists awards_description_plain,
  add constraint awards_description_plain check (is_plain_text(description) and position(E'\n' in description) = 0) not valid,
  add constraint awards_description_length check (char_length(description) between 1 and 255) not valid,
  drop constraint if exists awards_reason_plain,
  add constraint awards_reason_plain check (is_plain_text(reason)) not valid,
  add constraint awards_reason_length check (char_length(reason) between 1 and 500) not valid;

alter table billing_runs
  drop constraint if exists billing_runs_period_plain,
  add constraint billing_runs_period_plain check (is_plain_text(period) and position(E'\n' in period) = 0) not valid,
  add constraint billing_runs_period_length check (char_length(period) between 1 and 50) not valid,
  drop constraint if exists billing_runs_revert_reason_plain,
  add constraint billing_runs_revert_reason_plain check (is_plain_text(revert_reason)) not valid,
  add constraint billing_runs_revert_reason_length check (char_length(revert_reason) between 1 and 500) not valid;

alter table closings
  drop constraint if exists closings_reason_plain,
  add constraint closings_reason_plain check (is_plain_text(reason)) not valid,
  add constraint closings_reason_length check (char_length(reason) between 1 and 500) not valid,
  drop constraint if exists closings_reopen_reason_plain,
  add constraint closings_reopen_reason_plain check (is_plain_text(reopen_reason)) not valid,
  add constraint closings_reopen_reason_length check (char_length(reopen_reason) between 1 and 500) not valid;

alter table fee_plan_items
  drop constraint if exists fee_plan_items_category_plain,
  add constraint fee_plan_items_category_plain check (is_plain_text(category) and position(E'\n' in category) = 0) not valid,
  add constraint fee_plan_items_category_length check (char_length(category) between 1 and 50) not valid,
  drop constraint if exists fee_plan_items_description_plain,
  add constraint fee_plan_items_description_plain check (is_plain_text(description) and position(E'\n' in description) = 0) not valid,
  add constraint fee_plan_items_description_length check (char_length(description) between 1 and 255) not valid;

alter table fee_plans
  drop constraint if exists fee_plans_name_plain,
  add constraint fee_plans_name_plain check (is_plain_text(name) and position(E'\n' in name) = 0) not valid,
  add constraint fee_plans_name_length check (char_length(name) between 1 and 255) not valid;

alter table invoice_lines
  drop constraint if exists invoice_lines_category_plain,
  add constraint invoice_lines_category_plain check (is_plain_text(category) and position(E'\n' in category) = 0) not valid,
  add constraint invoice_lines_category_length check (char_length(category) between 1 and 50) not valid,
  drop constraint if exists invoice_lines_description_plain,
  add constraint invoice_lines_description_plain check (is_plain_text(description) and position(E'\n' in description) = 0) not valid,
  add constraint invoice_lines_description_length check (char_length(description) between 1 and 255) not valid;

alter table invoices
  drop constraint if exists invoices_void_reason_plain,
  add constraint invoices_void_reason_plain check (is_plain_text(void_reason)) not valid,
  add constraint invoices_void_reason_length check (char_length(void_reason) between 1 and 500) not valid;

alter table payers
  drop constraint if exists payers_email_shape,
  add constraint payers_email_shape check (is_plain_text(email) and email ~ '^[^@[:space:]]+@[^@[:space:]]+$') not valid,
  add constraint payers_email_length check (char_length(email) between 3 and 254) not valid,
  drop constraint if exists payers_external_id_plain,
  add constraint payers_external_id_plain check (is_plain_text(external_id) and position(E'\n' in external_id) = 0) not valid,
  add constraint payers_external_id_length check (char_length(external_id) between 1 and 255) not valid,
  drop constraint if exists payers_name_plain,
  add constraint payers_name_plain check (is_plain_text(name) and position(E'\n' in name) = 0) not valid,
  add constraint payers_name_length check (char_length(name) between 1 and 255) not valid,
  drop constraint if exists payers_phone_plain,
  add constraint payers_phone_plain check (is_plain_text(phone) and position(E'\n' in phone) = 0) not valid,
  add constraint payers_phone_length check (char_length(phone) between 1 and 50) not valid;

alter table payments
  drop constraint if exists payments_method_plain,
  add constraint payments_method_plain check (is_plain_text(method) and method = lower(method) and method !~ '[\s-]') not valid,
  add constraint payments_method_length check (char_length(method) between 1 and 50) not valid,
  drop constraint if exists payments_reason_plain,
  add constraint payments_reason_plain check (is_plain_text(reason)) not valid,
  add constraint payments_reason_length check (char_length(reason) between 1 and 500) not valid,
  drop constraint if exists payments_reference_plain,
  add constraint payments_reference_plain check (is_plain_text(reference) and position(E'\n' in reference) = 0) not valid,
  add constraint payments_reference_length check (char_length(reference) between 1 and 255) not valid;

alter table receipt_refunds
  drop constraint if exists receipt_refunds_method_plain,
  add constraint receipt_refunds_method_plain check (is_plain_text(method) and method = lower(method) and method !~ '[\s-]') not valid,
  add constraint receipt_refunds_method_length check (char_length(method) between 1 and 50) not valid,
  drop constraint if exists receipt_refunds_reason_plain,
  add constraint receipt_refunds_reason_plain check (is_plain_text(reason)) not valid,
  add constraint receipt_refunds_reason_length check (char_length(reason) between 1 and 500) not valid,
  drop constraint if exists receipt_refunds_reference_plain,
  add constraint receipt_refunds_reference_plain check (is_plain_text(reference) and position(E'\n' in reference) = 0) not valid,
  add constraint receipt_refunds_reference_length check (char_length(reference) between 1 and 255) not valid;

alter table receipts
  drop constraint if exists receipts_external_reference_plain,
  add constraint receipts_external_reference_plain check (is_plain_text(external_reference) and position(E'\n' in external_reference) = 0) not valid,
  add constraint receipts_external_reference_length check (char_length(external_reference) between 1 and 255) not valid,
  drop constraint if exists receipts_method_plain,
  add constraint receipts_method_plain check (is_plain_text(method) and method = lower(method) and method !~ '[\s-]') not valid,
  add constraint receipts_method_length check (char_length(method) between 1 and 50) not valid,
  drop constraint if exists receipts_reference_plain,
  add constraint receipts_reference_plain check (is_plain_text(reference) and position(E'\n' in reference) = 0) not valid,
  add constraint receipts_reference_length check (char_length(reference) between 1 and 255) not valid,
  drop constraint if exists receipts_reverse_reason_plain,
  add constraint receipts_reverse_reason_plain check (is_plain_text(reverse_reason)) not valid,
  add constraint receipts_reverse_reason_length check (char_length(reverse_reason) between 1 and 500) not valid,
  drop constraint if exists receipts_source_plain,
  add constraint receipts_source_plain check (is_plain_text(source) and position(E'\n' in source) = 0) not valid,
  add constraint receipts_source_length check (char_length(source) between 1 and 50) not valid;

alter table schools
  drop constraint if exists schools_address_plain,
  add constraint schools_address_plain check (is_plain_text(address)) not valid,
  add constraint schools_address_length check (char_length(address) between 1 and 500) not valid,
  drop constraint if exists schools_name_plain,
  add constraint schools_name_plain check (is_plain_text(name) and position(E'\n' in name) = 0) not valid,
  add constraint schools_name_length check (char_length(name) between 1 and 255) not valid,
  drop constraint if exists schools_payment_instructions_plain,
  add constraint schools_payment_instructions_plain check (is_plain_text(payment_instructions)) not valid,
  add constraint schools_payment_instructions_length check (char_length(payment_instructions) between 1 and 1000) not valid;

alter table students
  drop constraint if exists students_external_id_plain,
  add constraint students_external_id_plain check (is_plain_text(external_id) and position(E'\n' in external_id) = 0) not valid,
  add constraint students_external_id_length check (char_length(external_id) between 1 and 255) not valid,
  drop constraint if exists students_full_name_plain,
  add constraint students_full_name_plain check (is_plain_text(full_name) and position(E'\n' in full_name) = 0) not valid,
  add constraint students_full_name_length check (char_length(full_name) between 1 and 255) not valid,
  drop constraint if exists students_group_name_plain,
  add constraint students_group_name_plain check (is_plain_text(group_name) and position(E'\n' in group_name) = 0) not valid,
  add constraint students_group_name_length check (char_length(group_name) between 1 and 100) not valid;

drop function if exists is_method(text);
drop function if exists is_plain_line(text, int);
drop function if exists is_plain_text(text, int);
