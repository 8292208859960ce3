-- Every invoice of a school as of now, with the student it is raised on, in the order of their ids: a row each, walked
-- along the index on (school_id, id) by a cursor that needs no more memory for a million than for one. They are the
-- lines of school.sql; for a past moment or a period see school_lines_as_of.sql.
select
  invoices.id, student_id, full_name, external_id, amount_text(total_amount) as total_amount,
  instant_text(issued_at) as issued_at, due_date, description, amount_text(payments_total) as payments_total,
  amount_text(refunds_total) as refunds_total, amount_text(paid_total) as paid_total,
  amount_text(balance_due) as balance_due, status
from invoices
join students on students.id = invoices.student_id and students.school_id = invoices.school_id
where invoices.school_id = :school_id
  and (:tenant::uuid is null or invoices.school_id = :tenant)
  -- An invoice that is dated ahead is not on the account before its day.
  and issued_at <= now()
order by invoices.id
