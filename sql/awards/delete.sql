-- The deleted award: one row, or none if the tenant has no such award or :if_match does not list its version. What was billed
-- with it stays.
with author as materialized (select written_by(:request_actor, :request_id) as noted)
delete from awards
where (select noted from author)
  and id = :award_id
  and (:tenant::uuid is null or school_id = :tenant)
  and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
returning
  id, school_id, student_id, description, categories, percent, amount, valid_from, valid_to, reason, approved_by,
  created_at, updated_at
