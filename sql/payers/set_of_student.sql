-- The payers of a student after they are set to :payer_ids with :shares, by name: no row if the tenant has no such
-- student, or if there are no payers. A payer of another school breaks the foreign key. A share that does not change is
-- not written. Two statements for one student queue at the student; the second does not see the payers of the first, so
-- it would leave them, and the check of the sum refuses that at commit.
with author as materialized (select written_by(:request_actor, :request_id) as noted),
student as materialized (
  select id, school_id
  from students
  where (select noted from author)
    and id = :student_id
    and (:tenant::uuid is null or school_id = :tenant)
  for no key update
),
given as (
  select school_id, student.id as student_id, payer_id, share
  from student
  cross join unnest(:payer_ids::uuid[], :shares::numeric[]) as listed (payer_id, share)
),
gone as (
  delete from student_payers
  using student
  where student_payers.student_id = student.id
    and student_payers.school_id = student.school_id
    and (:tenant::uuid is null or student_payers.school_id = :tenant)
    and payer_id <> all(:payer_ids)
),
kept as (
  insert into student_payers (school_id, student_id, payer_id, share)
  select school_id, student_id, payer_id, share
  from given
  on conflict (student_id, school_id, payer_id) do update
  set share = excluded.share
  where student_payers.share <> excluded.share
)
select payer_id, name, share::numeric(7, 4), payment_reference(payer_id) as payment_reference
from given
join payers on payers.id = given.payer_id and payers.school_id = given.school_id
where (:tenant::uuid is null or payers.school_id = :tenant)
order by name, payer_id
