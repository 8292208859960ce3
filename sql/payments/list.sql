-- A page of payments and refunds, ordered by id. Days are days of the school.
select
  payments.id, payments.school_id, payments.invoice_id, payments.receipt_id, payments.reverses_id, payments.kind,
  payments.amount, schools.currency, payments.method, payments.reference, payments.reason, payments.paid_at,
  payments.created_at, payments.updated_at
from payments
join schools on schools.id = payments.school_id and (:tenant::uuid is null or schools.id = :tenant)
where (:tenant::uuid is null or payments.school_id = :tenant)
  and (:school_id::uuid is null or payments.school_id = :school_id)
  and (:invoice_id::uuid is null or payments.invoice_id = :invoice_id)
  and (:receipt_id::uuid is null or payments.receipt_id = :receipt_id)
  and (
    :student_id::uuid is null
    or payments.invoice_id = any(array(
      select invoices.id
      from invoices
      where invoices.student_id = :student_id
        and (:tenant::uuid is null or invoices.school_id = :tenant)
        and (:school_id::uuid is null or invoices.school_id = :school_id)
    ))
  )
  and (:kind::text is null or payments.kind = :kind)
  and (:method::text is null or payments.method = :method)
  and (:reference::text is null or payments.reference = :reference)
  -- The next two lines are for the index: no zone is further than that from UTC.
  and (:paid_from::date is null or payments.paid_at >= :paid_from::timestamp at time zone 'UTC' - interval '14 hours')
  and (:paid_to::date is null or payments.paid_at < :paid_to::timestamp at time zone 'UTC' + interval '36 hours')
  and (:paid_from::date is null or (payments.paid_at at time zone schools.time_zone)::date >= :paid_from)
  and (:paid_to::date is null or (payments.paid_at at time zone schools.time_zone)::date <= :paid_to)
  and case when :newest_first then payments.id < :after else payments.id > :after end
  and (:offset::bigint is not null or plan_for_these_values())
order by case when not :newest_first then payments.id end, case when :newest_first then payments.id end desc
limit :limit offset :offset
