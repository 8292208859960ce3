-- The changed payment: one row, or none if the tenant has no such payment or :if_match does not list its version. A
-- trigger of the table moves the totals of its invoice, or of both invoices. The foreign key refuses an invoice of
-- another school.
with author as materialized (select written_by(:request_actor, :request_id) as noted)
update payments
set invoice_id = coalesce(:invoice_id, invoice_id),
    amount = coalesce(:amount::numeric(12, 2), amount),
    method = case when :method_given then :method else method end,
    reference = case when :reference_given then :reference else reference end,
    paid_at = coalesce(:paid_at, start_of_day(:paid_on, time_zone), paid_at)
from schools
where (select noted from author)
  and payments.id = :payment_id
  and schools.id = payments.school_id
  and (:tenant::uuid is null or payments.school_id = :tenant)
  and (:tenant::uuid is null or schools.id = :tenant)
  and (:if_match::timestamptz[] is null or payments.updated_at = any(:if_match))
returning
  payments.id, school_id, invoice_id, receipt_id, reverses_id, kind, amount, currency, method, reference, reason, paid_at,
  payments.created_at, payments.updated_at
