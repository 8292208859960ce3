-- The payment that was deleted: a row, or none where it is not the tenant's or is of another version than :if_match lists.
-- A trigger of the table takes it off its invoice's totals; the invoice's checks refuse that where a refund would be left
-- without its payment.
with author as materialized (
  select written_by(:request_actor, :request_id) as noted
)
delete from payments
using schools
where (select noted from author)
  and payments.id = :payment_id
  and schools.id = payments.school_id
  and (:tenant::uuid is null or payments.school_id = :tenant)
  and (:if_match::timestamptz[] is null or payments.updated_at = any(:if_match))
returning
  payments.id, school_id, invoice_id, kind, amount, currency, method, reference, paid_at, payments.created_at,
  payments.updated_at
