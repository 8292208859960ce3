-- The reverted run, with the invoices that it keeps: one row, or none if the tenant has no such run, it is not committed, or
-- :if_match does not list its version. An invoice on which something happened stays. A payment that arrives at this moment
-- is waited for, and then its invoice stays, too. At most 500 of the invoices that stay are listed.
with author as materialized (select written_by(:request_actor, :request_id) as noted),
run as materialized (
  select id, school_id, fee_plan_id, period
  from billing_runs
  where (select noted from author)
    and id = :billing_run_id
    and (:tenant::uuid is null or school_id = :tenant)
    and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
    and committed_at is not null
  for no key update
),
untouched as materialized (
  select invoices.id, invoices.school_id
  from run
  join invoices on billing_run_id = run.id and invoices.school_id = run.school_id and invoices.fee_plan_id = run.fee_plan_id
    and invoices.period = run.period
    and (:tenant::uuid is null or invoices.school_id = :tenant)
  where voided_at is null
    and payments_total = 0
    and balance_due = total_amount
  order by invoices.id
  for no key update of invoices
),
voided as (
  update invoices
  set voided_at = now(),
      void_reason = :reason
  from untouched
  where invoices.id = untouched.id
    and invoices.school_id = untouched.school_id
    and (:tenant::uuid is null or invoices.school_id = :tenant)
  returning invoices.id
),
kept as (
  select invoices.id as invoice_id, number, student_id, full_name, total_amount, paid_total, balance_due
  from run
  join invoices on billing_run_id = run.id and invoices.school_id = run.school_id and invoices.fee_plan_id = run.fee_plan_id
    and invoices.period = run.period
    and (:tenant::uuid is null or invoices.school_id = :tenant)
  join students on students.id = student_id and students.school_id = run.school_id
    and (:tenant::uuid is null or students.school_id = :tenant)
  where voided_at is null
    and not exists (select 1 from voided where voided.id = invoices.id)
),
reverted as (
  update billing_runs
  set reverted_at = now(),
      revert_reason = :reason
  from run
  where billing_runs.id = run.id
    and billing_runs.school_id = run.school_id
    and (:tenant::uuid is null or billing_runs.school_id = :tenant)
  returning
    billing_runs.id, billing_runs.school_id, billing_runs.kind, billing_runs.fee_plan_id as plan_id, plan_version,
    billing_runs.period, group_name as "group", due_dates, issued_at, status, counts, totals, billing_runs.total_amount,
    invoices_count, committed_at, abandoned_at, reverted_at, revert_reason, created_at, updated_at
)
select
  id, school_id, kind, plan_id, plan_version, period, "group", due_dates, issued_at, status, counts, totals, total_amount,
  invoices_count, committed_at, abandoned_at, reverted_at, revert_reason, created_at, updated_at,
  (select count(*) from voided) as voided_count, (select count(*) from kept) as kept_count,
  (
    select coalesce(jsonb_agg(to_jsonb(listed) order by invoice_id), '[]')
    from (
      select invoice_id, number, student_id, full_name, total_amount, paid_total, balance_due
      from kept
      order by invoice_id
      limit 500
    ) as listed
  ) as kept
from reverted
