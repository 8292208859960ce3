-- A page of adjustments without their lines, ordered by id. Days are days of the school.
select
  adjustments.id, adjustments.school_id, adjustments.invoice_id, adjustments.reverses_id, adjustments.kind,
  adjustments.number, adjustments.amount, schools.currency, adjustments.reason, adjustments.adjusted_at,
  adjustments.created_at, adjustments.updated_at
from adjustments
join schools on schools.id = adjustments.school_id and (:tenant::uuid is null or schools.id = :tenant)
where (:tenant::uuid is null or adjustments.school_id = :tenant)
  and (:school_id::uuid is null or adjustments.school_id = :school_id)
  and (:invoice_id::uuid is null or adjustments.invoice_id = :invoice_id)
  and (
    coalesce(:student_id::uuid, :payer_id::uuid) is null
    or adjustments.invoice_id = any(array(
      select invoices.id
      from invoices
      where (:student_id::uuid is null or invoices.student_id = :student_id)
        and (:payer_id::uuid is null or invoices.payer_id = :payer_id)
        and (:tenant::uuid is null or invoices.school_id = :tenant)
        and (:school_id::uuid is null or invoices.school_id = :school_id)
    ))
  )
  and (:kind::text is null or adjustments.kind = :kind)
  and (:number::text is null or adjustments.number = :number)
  -- The next two lines are for the index: no zone is further than that from UTC.
  and (:adjusted_from::date is null or adjustments.adjusted_at >= :adjusted_from::timestamp at time zone 'UTC' - interval '14 hours')
  and (:adjusted_to::date is null or adjustments.adjusted_at < :adjusted_to::timestamp at time zone 'UTC' + interval '36 hours')
  and (:adjusted_from::date is null or (adjustments.adjusted_at at time zone schools.time_zone)::date >= :adjusted_from)
  and (:adjusted_to::date is null or (adjustments.adjusted_at at time zone schools.time_zone)::date <= :adjusted_to)
  and case when :newest_first then adjustments.id < :after else adjustments.id > :after end
  and (:offset::bigint is not null or plan_for_these_values())
order by case when not :newest_first then adjustments.id end, case when :newest_first then adjustments.id end desc
limit :limit offset :offset
