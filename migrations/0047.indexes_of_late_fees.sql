-- A late fee is charged once for each late invoice, rule and tier. Late fees are no part of what keeps a student from being
-- billed twice: two late invoices of one student may have a fee of the same tier in one run.
--
-- contract: the index that is renamed takes the name and the place of the one that is dropped
-- transactional: false

-- The new index is there before the old one goes, so no student is billed twice in between.
drop index concurrently if exists invoices_billed_once_new;
create unique index concurrently invoices_billed_once_new
  on invoices (fee_plan_id, school_id, period, student_id, instalment, payer_id) nulls not distinct
  where billing_run_id is not null and voided_at is null and late_invoice_id is null;
drop index concurrently if exists invoices_billed_once_key;
alter index invoices_billed_once_new rename to invoices_billed_once_key;

drop index concurrently if exists invoices_late_fee_key;
create unique index concurrently invoices_late_fee_key
  on invoices (late_invoice_id, school_id, late_after_days, instalment)
  where late_invoice_id is not null and voided_at is null;
-- The late fees of an invoice, also the void ones; also the index of the foreign key.
drop index concurrently if exists invoices_late_invoice_id_school_id_idx;
create index concurrently invoices_late_invoice_id_school_id_idx
  on invoices (late_invoice_id, school_id)
  where late_invoice_id is not null;
