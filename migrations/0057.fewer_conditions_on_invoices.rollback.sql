-- As in 0030.
create or replace trigger invoices_totals_follow_payments
  before update on invoices
  for each row when (
    pg_trigger_depth() = 0
    and (
      new.payments_total is distinct from old.payments_total or new.refunds_total is distinct from old.refunds_total
      or new.credited_total is distinct from old.credited_total
      or new.discounted_total is distinct from old.discounted_total
      or new.written_off_total is distinct from old.written_off_total
      or new.reversals_total is distinct from old.reversals_total
    )
  )
  execute function refuse_handwritten_total();
create or replace trigger invoices_changes_are_audited
  after update on invoices
  for each row when (
    not (
      new.payments_total is distinct from old.payments_total or new.refunds_total is distinct from old.refunds_total
      or new.credited_total is distinct from old.credited_total
      or new.discounted_total is distinct from old.discounted_total
      or new.written_off_total is distinct from old.written_off_total
      or new.reversals_total is distinct from old.reversals_total
    )
  )
  execute function append_to_audit_log();
alter table invoices
  drop constraint if exists invoices_totals_not_negative,
  add constraint invoices_payments_not_negative check (payments_total >= 0 and refunds_total >= 0) not valid,
  add constraint invoices_adjustments_not_negative check (
    credited_total >= 0 and discounted_total >= 0 and written_off_total >= 0 and reversals_total >= 0
  ) not valid;
