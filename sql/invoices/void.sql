-- The void invoice: one row, or none if the tenant has no such invoice, :if_match does not list its version, or it is
-- already void. A check refuses to void an invoice with something paid.
with author as materialized (select written_by(:request_actor, :request_id) as noted),
voided as (
  update invoices
  set voided_at = now(),
      void_reason = :reason
  where (select noted from author)
    and id = :invoice_id
    and (:tenant::uuid is null or school_id = :tenant)
    and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
    and voided_at is null
  returning
    id, school_id, student_id, payer_id, number, total_amount, status, issued_at, due_date, description, voided_at,
    void_reason, early_discount, early_until, credited_total, discounted_total, written_off_total, payments_total,
    refunds_total, paid_total, balance_due, late_invoice_id, created_at, updated_at
)
select
  id, school_id, student_id, payer_id, number, total_amount, status, issued_at, due_date, description, voided_at,
  void_reason, early_discount, early_until, credited_total, discounted_total, written_off_total, payments_total,
  refunds_total, paid_total, balance_due, late_invoice_id, created_at, updated_at,
  lines_of_locked_invoice(id, school_id) as lines
from voided
