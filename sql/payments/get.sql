-- One payment or refund: one row, or none if the tenant has no such payment.
select
  payments.id, school_id, invoice_id, receipt_id, reverses_id, kind, amount, currency, method, reference, reason, paid_at,
  payments.created_at, payments.updated_at
from payments
join schools on schools.id = payments.school_id and (:tenant::uuid is null or schools.id = :tenant)
where payments.id = :payment_id
  and (:tenant::uuid is null or payments.school_id = :tenant)
