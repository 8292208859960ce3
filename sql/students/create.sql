-- The student that was added: a row, or none where there is no such school or it is not the tenant's.
insert into students (school_id, full_name, external_id)
select schools.id, :full_name, :external_id
from schools
where schools.id = :school_id
  and (:tenant::uuid is null or schools.id = :tenant)
returning id, school_id, full_name, external_id, created_at, updated_at
