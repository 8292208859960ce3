-- Every invoice of a school as of now, with its student, ordered by id: one row each. A cursor walks the index on
-- (school_id, id), so the size of the school takes no memory. school_lines_as_of.sql is for other moments.
select
  invoices.id, student_id, full_name, external_id, amount_text(total_amount) as total_amount,
  instant_text(issued_at) as issued_at, due_date, description, amount_text(credited_total) as credited_total,
  amount_text(discounted_total) as discounted_total, amount_text(written_off_total) as written_off_total,
  amount_text(payments_total) as payments_total,
  amount_text(refunds_total) as refunds_total, amount_text(paid_total) as paid_total,
  amount_text(balance_due) as balance_due, status
from invoices
join students on students.id = invoices.student_id and students.school_id = invoices.school_id
  and (:tenant::uuid is null or students.school_id = :tenant)
where invoices.school_id = :school_id
  and (:tenant::uuid is null or invoices.school_id = :tenant)
  -- An invoice with a future date does not count yet.
  and issued_at <= now()
order by invoices.id
