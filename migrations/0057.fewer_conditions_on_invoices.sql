-- Shorter conditions on invoices. For each statement that writes to the table, PostgreSQL parses its checks and the conditions of
-- its triggers: these were a tenth of a payment.
--
-- contract: invoices_totals_not_negative takes the place of two constraints
set local lock_timeout = '2s';

alter table invoices
  drop constraint if exists invoices_payments_not_negative,
  drop constraint if exists invoices_adjustments_not_negative,
  drop constraint if exists invoices_totals_not_negative,
  add constraint invoices_totals_not_negative check (
    least(payments_total, refunds_total, credited_total, discounted_total, written_off_total, reversals_total) >= 0
  ) not valid;

-- A statement that names one of these columns is refused, unless it is that of a trigger.
create or replace trigger invoices_totals_follow_payments
  before update of
    payments_total, refunds_total, credited_total, discounted_total, written_off_total, reversals_total, early_adjustment_id
  on invoices
  for each row when (pg_trigger_depth() = 0)
  execute function refuse_handwritten_total();
-- All others are audited.
create or replace trigger invoices_changes_are_audited
  after update of
    id, school_id, student_id, payer_id, number, total_amount, issued_at, due_date, description, voided_at, void_reason,
    billing_run_id, fee_plan_id, period, instalment, late_invoice_id, late_after_days, early_discount, early_until, created_at,
    updated_at
  on invoices
  for each row execute function append_to_audit_log();
