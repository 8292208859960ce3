-- A page of awards, ordered by id.
select
  id, school_id, student_id, description, categories, percent, amount, valid_from, valid_to, reason, approved_by,
  created_at, updated_at
from awards
where (:tenant::uuid is null or school_id = :tenant)
  and (:school_id::uuid is null or school_id = :school_id)
  and (:student_id::uuid is null or student_id = :student_id)
  and case when :newest_first then id < :after else id > :after end
  and (:offset::bigint is not null or plan_for_these_values())
order by case when not :newest_first then id end, case when :newest_first then id end desc
limit :limit offset :offset
