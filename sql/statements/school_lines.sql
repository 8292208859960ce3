-- Every invoice of a school as of now, with the student it is raised on, in the order of their ids: a row each, walked
-- along the index on (school_id, id) by a cursor that needs no more memory for a million than for one. They are the
-- lines of school.sql; for a past moment or a period see school_lines_as_of.sql.
-- On Citus: routed to the school's shard.
select
  invoices.id,
  invoices.student_id,
  students.full_name,
  students.external_id,
  invoices.total_amount::text as total_amount,
  to_char(invoices.issued_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as issued_at,
  invoices.due_date,
  invoices.description,
  invoices.payments_total::text as payments_total,
  invoices.refunds_total::text as refunds_total,
  invoices.paid_total::text as paid_total,
  invoices.balance_due::text as balance_due,
  invoices.status
from invoices
join students on students.id = invoices.student_id and students.school_id = invoices.school_id
where invoices.school_id = :school_id
  and (:tenant::uuid is null or invoices.school_id = :tenant)
  -- One that is dated ahead is not on the account before its day.
  and invoices.issued_at <= now()
order by invoices.id
