-- A page of one student's invoices, ordered by id. The index on student_id finds them, and they are few enough to sort.
select
  id, school_id, student_id, total_amount, status, issued_at, due_date, description, voided_at, void_reason,
  payments_total, refunds_total, paid_total, balance_due, created_at, updated_at
from invoices
where student_id = :student_id
  and id > :after
  and (:school_id::uuid is null or school_id = :school_id)
  and (:tenant::uuid is null or school_id = :tenant)
  and (:status::text is null or status = :status)
  and (:due_from::date is null or due_date >= :due_from)
  and (:due_to::date is null or due_date <= :due_to)
order by id
limit :limit offset :offset
