-- The invoice that was deleted: a row, or none where it is not the tenant's, is of another version than :if_match lists,
-- or has movements. The foreign key of payments would refuse those too, but only after it had locked them, in the
-- opposite order to a delete of a payment; here the invoice's own row says it first.
with author as materialized (
  select written_by(:request_actor, :request_id) as noted
)
delete from invoices
where (select noted from author)
  and id = :invoice_id
  and (:tenant::uuid is null or school_id = :tenant)
  and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
  and payments_total = 0
returning
  id, school_id, student_id, total_amount, status, issued_at, due_date, description, voided_at, void_reason,
  payments_total, refunds_total, paid_total, balance_due, created_at, updated_at
