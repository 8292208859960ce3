-- As in 0037. The items of a version of a plan as JSON, and with `of_rules` its rules.
create or replace function lines_of_plan(plan uuid, school uuid, of_version int, of_rules boolean) returns jsonb
  language plpgsql stable
  set search_path = public, pg_temp
  as $function$
    begin
      return (
        select coalesce(jsonb_agg(to_jsonb(line) order by fee_plan_items.position), '[]')
        from fee_plan_items
        cross join lateral (
          select kind, description, category, categories, percent, amount, from_rank
        ) as line
        where fee_plan_id = plan and school_id = school and version = of_version
          and (fee_plan_items.kind <> 'item') = of_rules
      );
    end
  $function$;

create or replace trigger fee_plan_items_fit_the_currency
  after insert on fee_plan_items
  for each row when (new.amount <> trunc(new.amount))
  execute function refuse_cents();
alter table fee_plan_items
  drop constraint fee_plan_items_kind_known,
  add constraint fee_plan_items_kind_known check (kind in ('item', 'sibling', 'percentage', 'fixed')) not valid,
  drop constraint fee_plan_items_fields_of_kind,
  add constraint fee_plan_items_fields_of_kind check (
    case kind
      when 'item' then amount is not null and category is not null and num_nonnulls(categories, percent, from_rank) = 0
      when 'sibling' then num_nonnulls(percent, amount) = 1 and from_rank is not null and category is null
      when 'percentage' then percent is not null and num_nonnulls(amount, from_rank, category) = 0
      else amount is not null and num_nonnulls(percent, from_rank, category) = 0
    end
  ) not valid,
  drop column if exists after_days,
  drop column if exists minimum,
  drop column if exists maximum_times,
  drop column if exists days_before_due;
