-- The abandoned run: one row, or none if the tenant has no such run, it is no preview any more, or :if_match does not list
-- its version. Its rows go, so that they keep no student from being deleted.
with author as materialized (select written_by(:request_actor, :request_id) as noted),
abandoned as (
  update billing_runs
  set abandoned_at = now()
  where (select noted from author)
    and id = :billing_run_id
    and (:tenant::uuid is null or school_id = :tenant)
    and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
    and status = 'PREVIEW'
  returning
    id, school_id, kind, fee_plan_id as plan_id, plan_version, period, group_name as "group", due_dates, issued_at, status,
    counts, totals, total_amount, invoices_count, committed_at, abandoned_at, reverted_at, revert_reason, created_at, updated_at
),
gone as (
  delete from billing_run_rows
  using abandoned
  where billing_run_rows.billing_run_id = abandoned.id
    and billing_run_rows.school_id = abandoned.school_id
    and (:tenant::uuid is null or billing_run_rows.school_id = :tenant)
)
select
  id, school_id, kind, plan_id, plan_version, period, "group", due_dates, issued_at, status, counts, totals, total_amount,
  invoices_count, committed_at, abandoned_at, reverted_at, revert_reason, created_at, updated_at
from abandoned
