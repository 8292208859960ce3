-- A page of one school's students, ordered by id, by the index on (school_id, id).
select id, school_id, full_name, external_id, created_at, updated_at
from students
where school_id = :school_id
  and id > :after
  and (:tenant::uuid is null or school_id = :tenant)
  and (:external_id::text is null or lower(external_id) = lower(:external_id))
  and (:name::text is null or strpos(lower(full_name), lower(normalize(:name))) > 0)
order by id
limit :limit offset :offset
