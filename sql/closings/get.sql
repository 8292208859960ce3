-- One closing of a school: one row, or none if the tenant has no such closing of that school. Without :school_id, of any.
select
  closings.id, school_id, currency, starts_on, through, reason, to_jsonb(figures) as figures, audit_position,
  encode(audit_hash, 'hex') as audit_hash, reopened_at, reopen_reason, closings.created_at, closings.updated_at,
  open_receipts_of(school_id, closes_at) as open_receipts, open_runs_of(school_id, closes_at) as open_billing_runs
from closings
join schools on schools.id = closings.school_id and (:tenant::uuid is null or schools.id = :tenant)
cross join lateral (
  select
    opening_balance, invoiced, credited, discounted, written_off, received, refunded, voided, closing_balance,
    ageing_of(bucket_0, bucket_1, bucket_2, bucket_3, bucket_4) as ageing, unallocated
) as figures
where closings.id = :closing_id
  and (:school_id::uuid is null or closings.school_id = :school_id)
  and (:tenant::uuid is null or closings.school_id = :tenant)
