-- transactional: false
drop index concurrently if exists invoices_late_invoice_id_school_id_idx;
drop index concurrently if exists invoices_late_fee_key;

-- As in 0039.
drop index concurrently if exists invoices_billed_once_key;
create unique index concurrently invoices_billed_once_key
  on invoices (fee_plan_id, school_id, period, student_id, instalment, payer_id) nulls not distinct
  where billing_run_id is not null and voided_at is null;
