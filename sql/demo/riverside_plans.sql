-- The fee plans of the demo school Riverside Academy that no run of the kind has billed: one row for each.
select id, school_id, name
from fee_plans
where school_id = '01980000-0000-7000-8000-000000000002'
  and not exists (
    select 1
    from billing_runs
    where billing_runs.fee_plan_id = fee_plans.id
      and billing_runs.school_id = fee_plans.school_id
      and kind = :kind
      and status = 'COMMITTED'
  )
order by id
