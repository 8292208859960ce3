-- The deleted student: one row, or none if the tenant has no such student or :if_match does not list its version. The
-- foreign key of invoices refuses a student with invoices.
with author as materialized (select written_by(:request_actor, :request_id) as noted)
delete from students
where (select noted from author)
  and id = :student_id
  and (:tenant::uuid is null or school_id = :tenant)
  and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
returning id, school_id, full_name, external_id, created_at, updated_at
