-- The deleted invoice, whose lines go with it: one row, or none if the tenant has no such invoice, :if_match does not list
-- its version, or it has payments. The foreign key of payments would refuse it, too, but would first lock the payments, in
-- the opposite order to payments/delete.sql.
with author as materialized (select written_by(:request_actor, :request_id) as noted),
deleted as (
  delete from invoices
  where (select noted from author)
    and id = :invoice_id
    and (:tenant::uuid is null or school_id = :tenant)
    and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
    and payments_total = 0
  returning
    id, school_id, student_id, payer_id, number, total_amount, status, issued_at, due_date, description, voided_at,
    void_reason, early_discount, early_until, credited_total, discounted_total, written_off_total, payments_total,
    refunds_total, paid_total, balance_due, late_invoice_id, created_at, updated_at
),
deleted_lines as (
  delete from invoice_lines
  using deleted
  where invoice_lines.invoice_id = deleted.id
    and invoice_lines.school_id = deleted.school_id
    and (:tenant::uuid is null or invoice_lines.school_id = :tenant)
)
select
  id, school_id, student_id, payer_id, number, total_amount, status, issued_at, due_date, description, voided_at,
  void_reason, early_discount, early_until, credited_total, discounted_total, written_off_total, payments_total,
  refunds_total, paid_total, balance_due, late_invoice_id, created_at, updated_at
from deleted
