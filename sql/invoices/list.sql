-- A page of invoices, ordered by id. Days are days of the school. An invoice is overdue from the day after its due date,
-- but not before it is issued.
select
  id, school_id, student_id, payer_id, number, total_amount, status, issued_at, due_date, description, voided_at,
  void_reason, early_discount, early_until, credited_total, discounted_total, written_off_total, payments_total,
  refunds_total, paid_total, balance_due, late_invoice_id, created_at, updated_at
from invoices
where (:tenant::uuid is null or invoices.school_id = :tenant)
  and (:school_id::uuid is null or invoices.school_id = :school_id)
  and (:student_id::uuid is null or student_id = :student_id)
  and (:payer_id::uuid is null or payer_id = :payer_id)
  and (:billing_run_id::uuid is null or billing_run_id = :billing_run_id)
  and (:late_invoice_id::uuid is null or late_invoice_id = :late_invoice_id)
  and (:number::text is null or number = :number)
  and (:statuses::text[] is null or status = any(:statuses))
  and (:open::boolean is null or (balance_due > 0) = :open)
  and (
    :overdue::boolean is null
    or (
      balance_due > 0 and issued_at <= now() and due_date < (
        select (now() at time zone time_zone)::date
        from schools
        where schools.id = invoices.school_id
          and (:tenant::uuid is null or schools.id = :tenant)
      )
    ) = :overdue
  )
  and (:due_from::date is null or due_date >= :due_from)
  and (:due_to::date is null or due_date <= :due_to)
  -- The next two lines are for the index: no zone is further than that from UTC.
  and (:issued_from::date is null or issued_at >= :issued_from::timestamp at time zone 'UTC' - interval '14 hours')
  and (:issued_to::date is null or issued_at < :issued_to::timestamp at time zone 'UTC' + interval '36 hours')
  and (
    coalesce(:issued_from::date, :issued_to) is null
    or (
      select
        (issued_at at time zone time_zone)::date
          between coalesce(:issued_from::date, '-infinity') and coalesce(:issued_to::date, 'infinity')
      from schools
      where schools.id = invoices.school_id
        and (:tenant::uuid is null or schools.id = :tenant)
    )
  )
  and case when :newest_first then id < :after else id > :after end
  and (:offset::bigint is not null or plan_for_these_values())
order by case when not :newest_first then id end, case when :newest_first then id end desc
limit :limit offset :offset
