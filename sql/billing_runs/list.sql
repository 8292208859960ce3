-- A page of runs, ordered by id.
select
  id, school_id, kind, fee_plan_id as plan_id, plan_version, period, group_name as "group", due_dates, issued_at, status,
  counts, totals, total_amount, invoices_count, committed_at, abandoned_at, reverted_at, revert_reason, created_at, updated_at
from billing_runs
where (:tenant::uuid is null or school_id = :tenant)
  and (:school_id::uuid is null or school_id = :school_id)
  and (:plan_id::uuid is null or fee_plan_id = :plan_id)
  and (:kind::text is null or kind = :kind)
  and (:period::text is null or period = :period)
  and case when :newest_first then id < :after else id > :after end
  and (:offset::bigint is not null or plan_for_these_values())
order by case when not :newest_first then id end, case when :newest_first then id end desc
limit :limit offset :offset
