-- The deleted student: one row, or none if the tenant has no such student or :if_match does not list its version. The
-- foreign key of invoices refuses a student with invoices. The shares of the payers go with the student.
with author as materialized (select written_by(:request_actor, :request_id) as noted),
gone as (
  delete from students
  where (select noted from author)
    and id = :student_id
    and (:tenant::uuid is null or school_id = :tenant)
    and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
  returning id, school_id, full_name, external_id, group_name, left_on, created_at, updated_at
),
shares as (
  delete from student_payers
  using gone
  where student_payers.student_id = gone.id
    and student_payers.school_id = gone.school_id
    and (:tenant::uuid is null or student_payers.school_id = :tenant)
)
select id, school_id, full_name, external_id, group_name, left_on, created_at, updated_at
from gone
