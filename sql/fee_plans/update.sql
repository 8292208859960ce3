-- The changed plan: one row, or none if the tenant has no such plan or :if_match does not list its version. New items or
-- rules make a new version, which has them and those of the last version that do not change. The old version stays.
with author as materialized (select written_by(:request_actor, :request_id) as noted),
changed as (
  update fee_plans
  set name = coalesce(:name, name),
      version = version + case when :items_given or :rules_given then 1 else 0 end
  where (select noted from author)
    and id = :plan_id
    and (:tenant::uuid is null or school_id = :tenant)
    and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
  returning id, school_id, name, version, created_at, updated_at
),
lines as (
  select
    1 as turn, ordinality as place, kind, description, category, categories, percent, amount, from_rank, after_days, minimum,
    maximum_times, days_before_due
  from jsonb_populate_recordset(null::fee_plan_items, :lines::jsonb) with ordinality
  union all
  select
    case kind when 'item' then 0 else 2 end, ordinality, kind, description, category, categories, percent, amount, from_rank,
    after_days, minimum, maximum_times, days_before_due
  from changed
  cross join lateral jsonb_populate_recordset(
    null::fee_plan_items,
    lines_of_locked_plan(
      changed.id, changed.school_id, changed.version - case when :items_given or :rules_given then 1 else 0 end
    )
  ) with ordinality
  where not case kind when 'item' then :items_given else :rules_given end
),
new_items as (
  insert into fee_plan_items (
    school_id, fee_plan_id, version, position, kind, description, category, categories, percent, amount, from_rank,
    after_days, minimum, maximum_times, days_before_due
  )
  select
    school_id, changed.id, version, row_number() over (order by turn, place), kind, description, category, categories,
    percent, amount, from_rank, after_days, minimum, maximum_times, days_before_due
  from changed
  cross join lines
  where :items_given or :rules_given
)
select
  id, school_id, name, version,
  (
    select coalesce(jsonb_agg(to_jsonb(lines) - array['turn', 'place'] order by turn, place), '[]') from lines where kind = 'item'
  ) as items,
  (
    select coalesce(jsonb_agg(to_jsonb(lines) - array['turn', 'place'] order by turn, place), '[]') from lines where kind <> 'item'
  ) as rules,
  created_at, updated_at
from changed
