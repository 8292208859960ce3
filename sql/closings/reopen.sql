-- The reopened closing: one row, or none if the tenant has no such closing or it is reopened already. A trigger of the
-- table refuses one that is not the latest.
with claim as materialized (select coalesce(claim_idempotency_key(:request_idempotency_scope, :request_idempotency_key), true) as granted),
author as materialized (select written_by(:request_actor, :request_id) as noted),
reopened as (
  update closings
  set reopened_at = now(),
      reopen_reason = :reason
  from schools
  where (select granted from claim)
    and (select noted from author)
    and closings.id = :closing_id
    and schools.id = closings.school_id
    and (:tenant::uuid is null or closings.school_id = :tenant)
    and (:tenant::uuid is null or schools.id = :tenant)
    and closings.reopened_at is null
  returning
    closings.id, school_id, currency, starts_on, through, reason, opening_balance, invoiced, credited, discounted,
    written_off, received, refunded, voided, closing_balance, bucket_0, bucket_1, bucket_2, bucket_3, bucket_4,
    unallocated, audit_position, audit_hash, reopened_at, reopen_reason, closings.created_at, closings.updated_at,
    closes_at
),
answer as (
  select
    id, school_id, currency, starts_on, through, reason, to_jsonb(figures) as figures, audit_position,
    encode(audit_hash, 'hex') as audit_hash, reopened_at, reopen_reason, created_at, updated_at,
    open_receipts_of(school_id, closes_at) as open_receipts, open_runs_of(school_id, closes_at) as open_billing_runs
  from reopened
  cross join lateral (
    select
      opening_balance, invoiced, credited, discounted, written_off, received, refunded, voided, closing_balance,
      ageing_of(bucket_0, bucket_1, bucket_2, bucket_3, bucket_4) as ageing, unallocated
  ) as figures
)
select
  id, school_id, currency, starts_on, through, reason, figures, audit_position, audit_hash, reopened_at, reopen_reason,
  created_at, updated_at, open_receipts, open_billing_runs
from answer
cross join lateral remember_answer(:request_idempotency_scope, :request_idempotency_key, :request_fingerprint, to_jsonb(answer))
