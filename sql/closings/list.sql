-- A page of the closings of a school, ordered by id, without the receipts that are open.
select
  closings.id, closings.school_id, currency, starts_on, through, reason, to_jsonb(figures) as figures, audit_position,
  encode(audit_hash, 'hex') as audit_hash, reopened_at, reopen_reason, closings.created_at, closings.updated_at
from closings
join schools on schools.id = closings.school_id and (:tenant::uuid is null or schools.id = :tenant)
cross join lateral (
  select
    opening_balance, invoiced, credited, discounted, written_off, received, refunded, voided, closing_balance,
    ageing_of(bucket_0, bucket_1, bucket_2, bucket_3, bucket_4) as ageing, unallocated
) as figures
where closings.school_id = :school_id
  and (:tenant::uuid is null or closings.school_id = :tenant)
  and case when :newest_first then closings.id < :after else closings.id > :after end
  and (:offset::bigint is not null or plan_for_these_values())
order by case when not :newest_first then closings.id end, case when :newest_first then closings.id end desc
limit :limit offset :offset
