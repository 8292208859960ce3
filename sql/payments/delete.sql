-- The deleted payment: one row, or none if the tenant has no such payment or :if_match does not list its version. A
-- trigger of the table takes it off the totals of its invoice, whose checks refuse a refund without its payment.
with author as materialized (select written_by(:request_actor, :request_id) as noted)
delete from payments
using schools
where (select noted from author)
  and payments.id = :payment_id
  and schools.id = payments.school_id
  and (:tenant::uuid is null or payments.school_id = :tenant)
  and (:tenant::uuid is null or schools.id = :tenant)
  and (:if_match::timestamptz[] is null or payments.updated_at = any(:if_match))
returning
  payments.id, school_id, invoice_id, receipt_id, reverses_id, kind, amount, currency, method, reference, reason, paid_at,
  payments.created_at, payments.updated_at
