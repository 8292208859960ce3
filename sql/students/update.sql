-- The student as changed: a row, or none where it is not the tenant's or is of another version than :if_match lists.
-- A null name leaves the name; the external id may be null, so a flag says whether it is given.
with author as materialized (
  select written_by(:request_actor, :request_id) as noted
)
update students
set full_name = coalesce(:full_name, full_name),
    external_id = case when :external_id_given then :external_id else external_id end
where (select noted from author)
  and id = :student_id
  and (:tenant::uuid is null or school_id = :tenant)
  and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
returning id, school_id, full_name, external_id, created_at, updated_at
