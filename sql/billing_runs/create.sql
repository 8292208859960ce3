-- The new run with what it would do: one row, or none if the tenant has no such school or plan, no student of the school is
-- in :group, :student_ids has a student of another school, or the run is for late fees and the plan has none. Its rows, one
-- for each student, are ordered by name. The :period of late fees is the day of issue. An idempotency key is claimed before
-- anything else happens.
with claim as materialized (select coalesce(claim_idempotency_key(:request_idempotency_scope, :request_idempotency_key), true) as granted),
author as materialized (select written_by(:request_actor, :request_id) as noted),
place as materialized (
  select
    schools.id as school_id, fee_plans.id as fee_plan_id, version, issued_at, issued_on,
    coalesce(:period::text, to_char(issued_on, 'YYYY-MM-DD')) as period
  from schools
  join fee_plans on fee_plans.school_id = schools.id
  cross join lateral (
    select coalesce(:issued_at::timestamptz, start_of_day(:issued_on::date, time_zone), now()) as issued_at
  ) as issue
  cross join lateral (select (issued_at at time zone time_zone)::date as issued_on) as day
  where (select granted from claim)
    and (select noted from author)
    and schools.id = :school_id
    and fee_plans.id = :plan_id
    and (:tenant::uuid is null or schools.id = :tenant)
    and (:tenant::uuid is null or fee_plans.school_id = :tenant)
    and (
      :kind::text = 'FEES'
      or exists (
        select 1
        from fee_plan_items
        where fee_plan_id = fee_plans.id
          and fee_plan_items.school_id = fee_plans.school_id
          and (:tenant::uuid is null or fee_plan_items.school_id = :tenant)
          and fee_plan_items.version = fee_plans.version
          and kind = 'late_fee'
      )
    )
    and (
      :group::text is null
      or exists (
        select 1
        from students
        where students.school_id = schools.id
          and (:tenant::uuid is null or students.school_id = :tenant)
          and group_name = :group
      )
    )
    and (
      :student_ids::uuid[] is null
      or cardinality(:student_ids) = (
        select count(*)
        from students
        where students.id = any(:student_ids)
          and students.school_id = schools.id
          and (:tenant::uuid is null or students.school_id = :tenant)
      )
    )
),
billed as materialized (
  select
    student_id, verdict, reason, sibling_rank, items_total, discounts_total, total_amount, lines, invoices
  from place
  cross join lateral bill_run(
    :kind, place.school_id, fee_plan_id, version, period, :due_dates, issued_on, :group, :student_ids
  )
),
counts as (
  select coalesce(jsonb_object_agg(verdict, number), '{}') as counts
  from (select verdict, count(*) as number from billed group by verdict) as verdicts
),
sums as (
  select coalesce(jsonb_agg(jsonb_build_object('category', category, 'amount', amount_text(amount)) order by category), '[]') as totals
  from (
    select line ->> 'category' as category, sum((line ->> 'amount')::numeric) as amount
    from billed
    cross join lateral jsonb_array_elements(lines) as line
    where verdict = 'will_create'
    group by line ->> 'category'
  ) as categories
),
whole as (
  select
    coalesce(sum(total_amount), 0.00) as total_amount, coalesce(sum(jsonb_array_length(invoices)), 0)::int as invoices_count
  from billed
  where verdict = 'will_create'
),
new_run as (
  insert into billing_runs (
    school_id, kind, fee_plan_id, plan_version, period, group_name, student_ids, due_dates, issued_at, issued_on, counts,
    totals, total_amount, invoices_count
  )
  select
    school_id, :kind, fee_plan_id, version, period, :group, :student_ids, :due_dates::date[], issued_at, issued_on, counts,
    totals, total_amount, invoices_count
  from place
  cross join counts
  cross join sums
  cross join whole
  returning
    id, school_id, kind, fee_plan_id as plan_id, plan_version, period, group_name as "group", due_dates, issued_at, status,
    counts, totals, total_amount, invoices_count, committed_at, abandoned_at, reverted_at, revert_reason, created_at, updated_at
),
new_rows as (
  insert into billing_run_rows (
    school_id, billing_run_id, student_id, verdict, reason, sibling_rank, items_total, discounts_total, total_amount, lines,
    invoices
  )
  select
    new_run.school_id, new_run.id, student_id, verdict, reason, sibling_rank, items_total, discounts_total,
    billed.total_amount, lines, invoices
  from new_run
  cross join billed
  join students on students.id = billed.student_id and students.school_id = new_run.school_id
    and (:tenant::uuid is null or students.school_id = :tenant)
  order by full_name, students.id
)
select
  id, school_id, kind, plan_id, plan_version, period, "group", due_dates, issued_at, status, counts, totals, total_amount,
  invoices_count, committed_at, abandoned_at, reverted_at, revert_reason, created_at, updated_at
from new_run
cross join lateral remember_answer(:request_idempotency_scope, :request_idempotency_key, :request_fingerprint, to_jsonb(new_run))
