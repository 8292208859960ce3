-- A page of all invoices, ordered by id. The files beside this one use an index for one school or one student.
select
  id, school_id, student_id, total_amount, status, issued_at, due_date, description, voided_at, void_reason,
  payments_total, refunds_total, paid_total, balance_due, created_at, updated_at
from invoices
where id > :after
  and (:tenant::uuid is null or school_id = :tenant)
  and (:status::text is null or status = :status)
  and (:due_from::date is null or due_date >= :due_from)
  and (:due_to::date is null or due_date <= :due_to)
order by id
limit :limit offset :offset
