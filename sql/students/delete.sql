-- The student that was deleted: a row, or none where it is not the tenant's or is of another version than :if_match
-- lists. The foreign key of invoices refuses it while there are such.
-- On Citus: routed to the school's shard where the caller is bound to one; else it asks every shard.
delete from students
using written_by(:actor, :request_id)
where id = :student_id
  and (:tenant::uuid is null or school_id = :tenant)
  and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
returning id, school_id, full_name, external_id, created_at, updated_at
