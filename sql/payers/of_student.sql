-- The payers of a student and their shares, by name: no row if the student pays for himself, or the tenant has no such
-- student.
select payer_id, name, share, payment_reference(payer_id) as payment_reference
from student_payers
join payers on payers.id = student_payers.payer_id and payers.school_id = student_payers.school_id
where student_id = :student_id
  and (:tenant::uuid is null or student_payers.school_id = :tenant)
  and (:tenant::uuid is null or payers.school_id = :tenant)
order by name, payer_id
