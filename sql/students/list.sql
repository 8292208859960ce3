-- A page of all students, ordered by id; :name is a part of the name in any case. list_of_school.sql uses an index for
-- one school.
select id, school_id, full_name, external_id, created_at, updated_at
from students
where id > :after
  and (:tenant::uuid is null or school_id = :tenant)
  and (:external_id::text is null or lower(external_id) = lower(:external_id))
  and (:name::text is null or strpos(lower(full_name), lower(normalize(:name))) > 0)
order by id
limit :limit offset :offset
