-- The deleted student: one row, or none if the tenant has no such student or :if_match does not list its version. The
-- foreign key of invoices refuses a student with invoices. The shares of the payers go with the student.
with author as materialized (select written_by(:request_actor, :request_id) as noted),
student as (
  select id, school_id
  from students
  where (select noted from author)
    and id = :student_id
    and (:tenant::uuid is null or school_id = :tenant)
    and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
  for update
),
shares as (
  delete from student_payers
  using student
  where student_payers.student_id = student.id and student_payers.school_id = student.school_id
)
delete from students
using student
where students.id = student.id and students.school_id = student.school_id
returning
  students.id, students.school_id, full_name, external_id, created_at, updated_at
