-- The changed student: one row, or none if the tenant has no such student or :if_match does not list its version. Null
-- leaves the name as it is; external_id_given tells a null external id from an absent one.
with author as materialized (select written_by(:request_actor, :request_id) as noted)
update students
set full_name = coalesce(:full_name, full_name),
    external_id = case when :external_id_given then :external_id else external_id end
where (select noted from author)
  and id = :student_id
  and (:tenant::uuid is null or school_id = :tenant)
  and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
returning id, school_id, full_name, external_id, created_at, updated_at
