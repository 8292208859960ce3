-- The student that was deleted: a row, or none where it is not the tenant's or is of another version than :if_match
-- lists. The foreign key of invoices refuses it while there are such.
with author as materialized (
  select written_by(:request_actor, :request_id) as noted
)
delete from students
where (select noted from author)
  and id = :student_id
  and (:tenant::uuid is null or school_id = :tenant)
  and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
returning id, school_id, full_name, external_id, created_at, updated_at
