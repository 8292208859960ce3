-- The student that was deleted: a row, or none where it is not the tenant's. The foreign key of invoices
-- refuses it while there are such.
delete from students
using written_by(:actor, :request_id)
where id = :student_id
  and (:tenant::uuid is null or school_id = :tenant)
returning id, school_id, full_name, external_id, created_at, updated_at
