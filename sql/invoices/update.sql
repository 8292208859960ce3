-- The invoice as changed: a row, or none where it is not the tenant's, is of another version than :if_match lists, is
-- void, or would move to another student although it has movements. Null leaves a column as it is; the description
-- may be null, so a flag says whether it is given. The foreign key refuses a student of another school, the checks a
-- total below what is paid.
--
-- Two who change what both have read queue here: the second sees what the first left, and its version is gone.
with author as materialized (
  select written_by(:request_actor, :request_id) as noted
)
update invoices
set student_id = coalesce(:student_id, student_id),
    total_amount = coalesce(:total_amount::numeric(12, 2), total_amount),
    issued_at = coalesce(:issued_at, issued_at),
    due_date = coalesce(:due_date, due_date),
    description = case when :description_given then :description else description end
where (select noted from author)
  and id = :invoice_id
  and (:tenant::uuid is null or school_id = :tenant)
  and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
  and voided_at is null
  and (:student_id::uuid is null or student_id = :student_id or payments_total = 0)
returning
  id, school_id, student_id, total_amount, status, issued_at, due_date, description, voided_at, void_reason,
  payments_total, refunds_total, paid_total, balance_due, created_at, updated_at
