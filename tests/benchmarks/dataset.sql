-- Schools with their students, the invoices of twelve months on each student, and three payments on every two
-- invoices: the same data for the same parameters.
--
-- The numbers are in the ids, so that a benchmark can name any row. Invoices are raised month by month, so the
-- twelve of a student lie in twelve places of the table, as they do where bills go out to everybody on one day.
-- The triggers are off meanwhile: what they check is so by construction, and the trail of a made-up past is no use.
set local session_replication_role = replica;

create temporary table new_students on commit drop as
select
  bench_id(1, school) as school_id,
  bench_id(2, school * 10000 + place) as student_id,
  school * 10000 + place as student
from generate_series(%(first_school)s::bigint, %(first_school)s + %(schools)s - 1) as school
cross join generate_series(1, %(students)s) as place;

create temporary table new_invoices on commit drop as
select
  bench_id(3, month * 1000000000 + student) as invoice_id,
  school_id,
  student_id,
  month * 1000000000 + student as invoice,
  (student + month) %% 2 = 0 as has_second,
  (student + month) %% 8 = 0 as is_refunded,
  timestamptz '2025-09-01 08:00Z' + month * interval '1 month' as issued_at
from generate_series(0::bigint, 11) as month
cross join new_students
order by month, student;

insert into schools (id, name)
select bench_id(1, school), 'School ' || school
from generate_series(%(first_school)s::bigint, %(first_school)s + %(schools)s - 1) as school;

insert into students (id, school_id, full_name, external_id)
select student_id, school_id, 'Student ' || student, 'E' || student
from new_students;

insert into invoices (
  id, school_id, student_id, total_amount, issued_at, due_date, description, payments_total, refunds_total
)
select
  invoice_id,
  school_id,
  student_id,
  600.00,
  issued_at,
  (issued_at at time zone 'UTC')::date + 30,
  'Tuition of ' || to_char(issued_at at time zone 'UTC', 'FMMonth YYYY'),
  250.00 + case when has_second and not is_refunded then 100.00 else 0 end,
  case when is_refunded then 50.00 else 0 end
from new_invoices;

insert into payments (id, school_id, invoice_id, kind, amount, method, paid_at)
select bench_id(4, invoice * 2), school_id, invoice_id, 'PAYMENT', 250.00, 'card', issued_at + interval '9 days'
from new_invoices
union all
select
  bench_id(4, invoice * 2 + 1),
  school_id,
  invoice_id,
  case when is_refunded then 'REFUND' else 'PAYMENT' end,
  case when is_refunded then 50.00 else 100.00 end,
  'transfer',
  issued_at + interval '20 days'
from new_invoices
where has_second;
