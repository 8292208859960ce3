-- The place, from 0, of each of :student_ids that is no student of the tenant's school, in order.
select (place - 1)::int as place
from unnest(:student_ids::uuid[]) with ordinality as given (student_id, place)
where not exists (
  select 1
  from students
  where students.id = given.student_id
    and students.school_id = :school_id
    and (:tenant::uuid is null or students.school_id = :tenant)
)
order by given.place
