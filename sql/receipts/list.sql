-- A page of receipts without their allocations, ordered by id. Days are days of the school.
select
  receipts.id, receipts.school_id, receipts.payer_id, receipts.payer_name, receipts.number, receipts.amount,
  schools.currency, receipts.method, receipts.reference, receipts.source, receipts.external_reference,
  receipts.received_at, receipts.reversed_at, receipts.reverse_reason, receipts.allocated_total,
  receipts.refunded_total, receipts.unallocated, receipts.created_at, receipts.updated_at
from receipts
join schools on schools.id = receipts.school_id and (:tenant::uuid is null or schools.id = :tenant)
where (:tenant::uuid is null or receipts.school_id = :tenant)
  and (:school_id::uuid is null or receipts.school_id = :school_id)
  and (:payer_id::uuid is null or receipts.payer_id = :payer_id)
  and (:number::text is null or receipts.number = :number)
  and (:method::text is null or receipts.method = :method)
  and (:reference::text is null or receipts.reference = :reference)
  and (:source::text is null or receipts.source = :source)
  and (:external_reference::text is null or receipts.external_reference = :external_reference)
  and (:unallocated::boolean is null or (receipts.unallocated > 0) = :unallocated)
  and (:unidentified::boolean is null or (receipts.payer_id is null) = :unidentified)
  -- The next two lines are for the index: no zone is further than that from UTC.
  and (:received_from::date is null or receipts.received_at >= :received_from::timestamp at time zone 'UTC' - interval '14 hours')
  and (:received_to::date is null or receipts.received_at < :received_to::timestamp at time zone 'UTC' + interval '36 hours')
  and (:received_from::date is null or (receipts.received_at at time zone schools.time_zone)::date >= :received_from)
  and (:received_to::date is null or (receipts.received_at at time zone schools.time_zone)::date <= :received_to)
  and case when :newest_first then receipts.id < :after else receipts.id > :after end
  and (:offset::bigint is not null or plan_for_these_values())
order by case when not :newest_first then receipts.id end, case when :newest_first then receipts.id end desc
limit :limit offset :offset
