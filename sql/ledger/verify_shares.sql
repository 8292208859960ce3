-- The first :limit students whose payers have shares that do not sum to 100; no rows if all do.
select student_id as id, school_id, sum(share) as shares_sum
from student_payers
group by school_id, student_id
having sum(share) <> 100
order by school_id, student_id
limit :limit
