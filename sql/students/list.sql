-- A page of students, ordered by id. :name is a part of the name in any case. :q has the beginnings of words of the name
-- and of the external id, in any order; its index finds them in one school.
select id, school_id, full_name, external_id, group_name, left_on, created_at, updated_at
from students
where (:tenant::uuid is null or school_id = :tenant)
  and (:school_id::uuid is null or school_id = :school_id)
  and (:external_id::text is null or lower(external_id) = lower(:external_id))
  and (:group_name::text is null or group_name = :group_name)
  and (:name::text is null or strpos(lower(full_name), lower(normalize(:name))) > 0)
  and (
    :q::text is null
    or search_vector(school_id, full_name || ' ' || coalesce(external_id, ''))
      @@ search_query(coalesce(:tenant, :school_id), :q)
  )
  and case when :newest_first then id < :after else id > :after end
  and (:offset::bigint is not null or plan_for_these_values())
order by case when not :newest_first then id end, case when :newest_first then id end desc
limit :limit offset :offset
