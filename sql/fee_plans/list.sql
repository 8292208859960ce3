-- A page of plans in their newest versions, ordered by id.
select
  id, school_id, name, version, lines_of_plan(id, school_id, version, false) as items,
  lines_of_plan(id, school_id, version, true) as rules, created_at, updated_at
from fee_plans
where (:tenant::uuid is null or school_id = :tenant)
  and (:school_id::uuid is null or school_id = :school_id)
  and case when :newest_first then id < :after else id > :after end
  and (:offset::bigint is not null or plan_for_these_values())
order by case when not :newest_first then id end, case when :newest_first then id end desc
limit :limit offset :offset
