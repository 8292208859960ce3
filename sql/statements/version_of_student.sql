-- Which version of a student's statements there is now: a row, or none where there is no such student or it is not the
-- tenant's. It is the version of the school's statements, for the reasons that version_of_school.sql states: what
-- changes elsewhere in the school makes a new version, too, which costs a computation and never a wrong figure.
with school as (
  select schools.id, (now() at time zone schools.time_zone)::date as today
  from students
  join schools on schools.id = students.school_id
  where students.id = :student_id
    and (:tenant::uuid is null or students.school_id = :tenant)
),
sealed as (
  select position as entries
  from audit_log
  where school_id = (select id from school)
    and position is not null
  order by position desc
  limit 1
),
unsealed as (
  select count(*) as entries
  from audit_log
  where school_id = (select id from school)
    and hash is null
)
select
  coalesce((select entries from sealed), 0) + (select entries from unsealed) as changes,
  today
from school
