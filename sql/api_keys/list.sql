-- A page of keys, with the revoked ones, ordered by id. A tenant sees its own keys.
select id, name, key_prefix, role, school_id, created_by, last_used_at, revoked_at, created_at, updated_at
from api_keys
where id > :after
  and (:tenant::uuid is null or school_id = :tenant)
  and (:school_id::uuid is null or school_id = :school_id)
order by id
limit :limit offset :offset
