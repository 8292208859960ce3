-- A page of users, ordered by id. A tenant sees its own users, and not the users of all schools.
select id, username, role, school_id, disabled_at, password_changed_at, created_at, updated_at
from users
where (:tenant::uuid is null or school_id = :tenant)
  and (:school_id::uuid is null or school_id = :school_id)
  and case when :newest_first then id < :after else id > :after end
  and (:offset::bigint is not null or plan_for_these_values())
order by case when not :newest_first then id end, case when :newest_first then id end desc
limit :limit offset :offset
