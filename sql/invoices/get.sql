-- One invoice with its lines: one row, or none if the tenant has no such invoice.
select
  id, school_id, student_id, payer_id, number, total_amount, status, issued_at, due_date, description, voided_at,
  void_reason, early_discount, early_until, credited_total, discounted_total, written_off_total, payments_total,
  refunds_total, paid_total, balance_due, late_invoice_id, created_at, updated_at,
  lines_of_invoice(id, school_id) as lines
from invoices
where id = :invoice_id
  and (:tenant::uuid is null or school_id = :tenant)
