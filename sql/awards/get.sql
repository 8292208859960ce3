-- One award: one row, or none if the tenant has no such award.
select
  id, school_id, student_id, description, categories, percent, amount, valid_from, valid_to, reason, approved_by,
  created_at, updated_at
from awards
where id = :award_id
  and (:tenant::uuid is null or school_id = :tenant)
