-- Two more kinds of rules of a fee plan: what a late payment costs, and what an early one saves.
--
-- contract: a constraint is dropped only to be added again, with more kinds
set local lock_timeout = '2s';

alter table fee_plan_items
  -- Of a late fee: it is due when the invoice is that many days overdue, and each time that as many days more have passed.
  add column if not exists after_days int,
  -- The least that a late fee in percent is.
  add column if not exists minimum numeric(12, 2),
  add column if not exists maximum_times int,
  -- Of an early discount: the payment must arrive at least that many days before the invoice is due.
  add column if not exists days_before_due int;
alter table fee_plan_items
  drop constraint if exists fee_plan_items_kind_known,
  add constraint fee_plan_items_kind_known
    check (kind in ('item', 'sibling', 'percentage', 'fixed', 'late_fee', 'early_discount')) not valid,
  drop constraint if exists fee_plan_items_fields_of_kind,
  add constraint fee_plan_items_fields_of_kind check (
    case kind
      when 'item' then amount is not null and category is not null and num_nonnulls(categories, percent, from_rank) = 0
      when 'sibling' then num_nonnulls(percent, amount) = 1 and from_rank is not null and category is null
      when 'percentage' then percent is not null and num_nonnulls(amount, from_rank, category) = 0
      when 'fixed' then amount is not null and num_nonnulls(percent, from_rank, category) = 0
      else num_nonnulls(percent, amount) = 1 and num_nonnulls(categories, from_rank, category) = 0
    end
    and (kind = 'late_fee') = (after_days is not null)
    and (kind = 'late_fee') = (maximum_times is not null)
    and (kind = 'early_discount') = (days_before_due is not null)
    and (minimum is null or kind = 'late_fee' and percent is not null)
  ) not valid,
  drop constraint if exists fee_plan_items_after_days_in_range,
  add constraint fee_plan_items_after_days_in_range check (after_days between 1 and 365) not valid,
  drop constraint if exists fee_plan_items_minimum_positive,
  add constraint fee_plan_items_minimum_positive check (minimum > 0 and minimum <> 'NaN') not valid,
  drop constraint if exists fee_plan_items_maximum_times_in_range,
  add constraint fee_plan_items_maximum_times_in_range check (maximum_times between 1 and 36) not valid,
  drop constraint if exists fee_plan_items_days_before_due_in_range,
  add constraint fee_plan_items_days_before_due_in_range check (days_before_due between 0 and 365) not valid;

create or replace trigger fee_plan_items_fit_the_currency
  after insert on fee_plan_items
  for each row when (new.amount <> trunc(new.amount) or new.minimum <> trunc(new.minimum))
  execute function refuse_cents();

-- The items of a version of a plan as JSON, and with `of_rules` its rules.
create or replace function lines_of_plan(plan uuid, school uuid, of_version int, of_rules boolean) returns jsonb
  language plpgsql stable
  set search_path = public, pg_temp
  as $function$
    begin
      return (
        select coalesce(jsonb_agg(to_jsonb(line) order by fee_plan_items.position), '[]')
        from fee_plan_items
        cross join lateral (
          select
            kind, description, category, categories, percent, amount, from_rank, after_days, minimum, maximum_times,
            days_before_due
        ) as line
        where fee_plan_id = plan and school_id = school and version = of_version
          and (fee_plan_items.kind <> 'item') = of_rules
      );
    end
  $function$;
