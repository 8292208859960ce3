-- The school that was deleted: a row, or none where it is not the tenant's or is of another version than :if_match
-- lists. The foreign keys of students and users refuse it while there are such.
-- On Citus: routed to the school's shard.
delete from schools
using written_by(:actor, :request_id)
where id = :school_id
  and (:tenant::uuid is null or id = :tenant)
  and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
returning id, name, currency, time_zone, created_at, updated_at
