-- The changed student: one row, or none if the tenant has no such student or :if_match does not list its version. Null
-- leaves the name as it is; the parameters with _given tell a null from an absent value.
with author as materialized (select written_by(:request_actor, :request_id) as noted)
update students
set full_name = coalesce(:full_name, full_name),
    external_id = case when :external_id_given then :external_id else external_id end,
    group_name = case when :group_name_given then :group_name else group_name end,
    left_on = case when :left_on_given then :left_on else left_on end
where (select noted from author)
  and id = :student_id
  and (:tenant::uuid is null or school_id = :tenant)
  and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
returning id, school_id, full_name, external_id, group_name, left_on, created_at, updated_at
