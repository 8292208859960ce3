-- The invoice as voided: a row, or none where it is not the tenant's, is of another version than :if_match lists, or is
-- void already. The check on void invoices refuses one that has something paid, and every movement after. There is
-- no way back.
with author as materialized (
  select written_by(:request_actor, :request_id) as noted
)
update invoices
set voided_at = now(),
    void_reason = :reason
where (select noted from author)
  and id = :invoice_id
  and (:tenant::uuid is null or school_id = :tenant)
  and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
  and voided_at is null
returning
  id, school_id, student_id, total_amount, status, issued_at, due_date, description, voided_at, void_reason,
  payments_total, refunds_total, paid_total, balance_due, created_at, updated_at
