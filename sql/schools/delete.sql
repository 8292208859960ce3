-- The school that was deleted: a row, or none where it is not the tenant's or is of another version than :if_match
-- lists. The foreign keys of students and users refuse it while there are such.
with author as materialized (
  select written_by(:request_actor, :request_id) as noted
)
delete from schools
where (select noted from author)
  and id = :school_id
  and (:tenant::uuid is null or id = :tenant)
  and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
returning id, name, currency, time_zone, created_at, updated_at
