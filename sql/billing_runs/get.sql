-- One run: one row, or none if the tenant has no such run.
select
  id, school_id, kind, fee_plan_id as plan_id, plan_version, period, group_name as "group", due_dates, issued_at, status,
  counts, totals, total_amount, invoices_count, committed_at, abandoned_at, reverted_at, revert_reason, created_at, updated_at
from billing_runs
where id = :billing_run_id
  and (:tenant::uuid is null or school_id = :tenant)
