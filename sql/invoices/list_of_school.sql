-- A page of one school's invoices, ordered by id, by the index on (school_id, id).
select
  id, school_id, student_id, total_amount, status, issued_at, due_date, description, voided_at, void_reason,
  payments_total, refunds_total, paid_total, balance_due, created_at, updated_at
from invoices
where school_id = :school_id
  and id > :after
  and (:tenant::uuid is null or school_id = :tenant)
  and (:status::text is null or status = :status)
  and (:due_from::date is null or due_date >= :due_from)
  and (:due_to::date is null or due_date <= :due_to)
order by id
limit :limit offset :offset
