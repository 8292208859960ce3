-- One student: one row, or none if the tenant has no such student.
select id, school_id, full_name, external_id, group_name, left_on, created_at, updated_at
from students
where id = :student_id
  and (:tenant::uuid is null or school_id = :tenant)
