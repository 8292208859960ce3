-- A page of keys, with the revoked ones, ordered by id. A tenant sees its own keys.
select id, name, key_prefix, role, school_id, created_by, last_used_at, revoked_at, created_at, updated_at
from api_keys
where (:tenant::uuid is null or school_id = :tenant)
  and (:school_id::uuid is null or school_id = :school_id)
  and case when :newest_first then id < :after else id > :after end
  and (:offset::bigint is not null or plan_for_these_values())
order by case when not :newest_first then id end, case when :newest_first then id end desc
limit :limit offset :offset
