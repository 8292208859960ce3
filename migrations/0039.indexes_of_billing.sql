-- No student is billed twice: one live invoice for each plan, period, student, payer and instalment. And the index of the
-- foreign key to runs.
--
-- transactional: false

drop index concurrently if exists invoices_billed_once_key;
create unique index concurrently invoices_billed_once_key
  on invoices (fee_plan_id, school_id, period, student_id, instalment, payer_id) nulls not distinct
  where billing_run_id is not null and voided_at is null;
-- A run's invoices; also the index of the foreign key.
drop index concurrently if exists invoices_billing_run_id_school_id_idx;
create index concurrently invoices_billing_run_id_school_id_idx
  on invoices (billing_run_id, school_id, fee_plan_id, period)
  where billing_run_id is not null;
