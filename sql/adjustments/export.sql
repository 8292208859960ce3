-- Every adjustment of a school with its invoice, its student and who recorded it, ordered by id: one row each. The audit trail
-- has the actor. Days are days of the school.
select
  adjustments.id, adjustments.invoice_id, invoices.number as invoice_number, invoices.student_id, students.full_name,
  students.external_id, adjustments.kind, adjustments.reverses_id, adjustments.number, adjustments.amount,
  adjustments.reason, adjustments.adjusted_at, adjustments.created_at as recorded_at, audit_log.actor as recorded_by
from adjustments
join schools on schools.id = adjustments.school_id and (:tenant::uuid is null or schools.id = :tenant)
join invoices on invoices.id = adjustments.invoice_id and invoices.school_id = adjustments.school_id
  and (:tenant::uuid is null or invoices.school_id = :tenant)
join students on students.id = invoices.student_id and students.school_id = adjustments.school_id
  and (:tenant::uuid is null or students.school_id = :tenant)
left join audit_log on audit_log.entity_id = adjustments.id
  and audit_log.school_id = adjustments.school_id
  and (:tenant::uuid is null or audit_log.school_id = :tenant)
  and audit_log.action = 'INSERT'
where adjustments.school_id = :school_id
  and (:tenant::uuid is null or adjustments.school_id = :tenant)
  and (:invoice_id::uuid is null or adjustments.invoice_id = :invoice_id)
  and (:student_id::uuid is null or invoices.student_id = :student_id)
  and (:payer_id::uuid is null or invoices.payer_id = :payer_id)
  and (:kind::text is null or adjustments.kind = :kind)
  and (:number::text is null or adjustments.number = :number)
  and (:adjusted_from::date is null or (adjustments.adjusted_at at time zone schools.time_zone)::date >= :adjusted_from)
  and (:adjusted_to::date is null or (adjustments.adjusted_at at time zone schools.time_zone)::date <= :adjusted_to)
order by adjustments.id
