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

-- What a plan costs each student, and what a run would do with the student. The preview stores it, and the commit compares.
--
-- It is volatile, so that each call sees what was committed before it: a commit that waited for another one's lock sees the
-- invoices of the other. Siblings are enrolled students who share a payer that is a person; an organisation that pays for
-- many makes them no siblings. The eldest is the one who was added first. Of sibling rules with the same categories, the
-- one with the highest rank that the student reaches counts. Awards count if they are valid on the day of issue.
create or replace function bill_students(
  school uuid, plan uuid, of_version int, of_period text, due_dates date[], issue_day date, of_group text, of_students uuid[]
)
  returns table (
    student_id uuid, verdict text, reason text, sibling_rank int, items_total numeric, discounts_total numeric,
    total_amount numeric, lines jsonb, invoices jsonb
  )
  language plpgsql volatile
  set search_path = public, pg_temp
  as $function$
    #variable_conflict use_column
    declare
      decimals int := (select currency_decimals(currency) from schools where id = school);
      instalments int := cardinality(due_dates);
    begin
      return query
      with items as materialized (
        select
          array_agg(amount order by fee_plan_items.position) as amounts,
          array_agg(category order by fee_plan_items.position) as categories,
          sum(amount) as total,
          jsonb_agg(
            jsonb_build_object('description', description, 'category', category, 'amount', amount_text(amount))
            order by fee_plan_items.position
          ) as lines
        from fee_plan_items
        where fee_plan_id = plan and school_id = school and version = of_version and kind = 'item'
      ),
      rules as materialized (
        select position as turn, kind, description, categories, percent, amount, from_rank
        from fee_plan_items
        where fee_plan_id = plan and school_id = school and version = of_version and kind in ('sibling', 'percentage', 'fixed')
      ),
      chosen as materialized (
        select id, created_at, coalesce(left_on <= issue_day, false) as has_left
        from students
        where school_id = school
          and (of_group is null or group_name = of_group)
          and (of_students is null or id = any(of_students))
      ),
      paying as materialized (
        select student_payers.student_id, payer_id, share, kind
        from student_payers
        join payers on payers.id = payer_id and payers.school_id = student_payers.school_id
        where student_payers.school_id = school
      ),
      ranks as (
        select chosen.id as student_id, count(distinct elder.id)::int + 1 as sibling_rank
        from chosen
        join paying as own on own.student_id = chosen.id and own.kind = 'PERSON'
        join paying as theirs on theirs.payer_id = own.payer_id and theirs.student_id <> own.student_id
        join students as elder on elder.id = theirs.student_id and elder.school_id = school
          and (elder.left_on is null or elder.left_on > issue_day)
          and (elder.created_at, elder.id) < (chosen.created_at, chosen.id)
        group by chosen.id
      ),
      placed as materialized (
        select chosen.id as student_id, has_left, coalesce(sibling_rank, 1) as sibling_rank
        from chosen
        left join ranks on ranks.student_id = chosen.id
      ),
      discounts as (
        select
          student_id, 0 as place, turn, null::uuid as award_id, description, 'discount' as category, categories, percent,
          amount, case kind when 'sibling' then sibling_rank end as shown_rank
        from placed
        cross join rules
        where kind <> 'sibling'
          or sibling_rank >= from_rank and not exists (
            select 1
            from rules as higher
            where higher.kind = 'sibling'
              and higher.categories is not distinct from rules.categories
              and (higher.from_rank, higher.turn) > (rules.from_rank, rules.turn)
              and placed.sibling_rank >= higher.from_rank
          )
        union all
        select
          awards.student_id, 1, 0, awards.id, awards.description, 'award', awards.categories, awards.percent,
          awards.amount, null
        from placed
        join awards on awards.student_id = placed.student_id and awards.school_id = school
        where valid_from <= issue_day
          and (valid_to is null or valid_to >= issue_day)
      ),
      discounted as (
        select
          student_id,
          discount_lines(
            amounts, items.categories,
            jsonb_agg(
              jsonb_build_object(
                'description', description, 'category', category, 'categories', discounts.categories,
                'percent', percent::text, 'amount', amount, 'sibling_rank', shown_rank, 'award_id', award_id
              )
              order by place, turn, award_id
            ),
            decimals
          ) as lines
        from discounts
        cross join items
        group by student_id, amounts, items.categories
      ),
      priced as (
        select
          placed.student_id, has_left, sibling_rank, items.total as items_total,
          coalesce(
            (select sum((line ->> 'amount')::numeric) from jsonb_array_elements(discounted.lines) as line), 0
          ) as discounts_total,
          items.lines || coalesce(discounted.lines, '[]') as lines
        from placed
        cross join items
        left join discounted on discounted.student_id = placed.student_id
      ),
      billed as (
        select distinct student_id
        from invoices
        where school_id = school and fee_plan_id = plan and period = of_period and voided_at is null
      ),
      judged as (
        select
          priced.student_id, sibling_rank, items_total, discounts_total, items_total + discounts_total as total_amount, lines,
          case
            when billed.student_id is not null then 'already_billed'
            when has_left then 'left'
            when items_total + discounts_total = 0 then 'nothing_to_bill'
            when items_total + discounts_total > 9999999999.99 then 'total_too_large'
            when jsonb_array_length(lines) > 100 then 'too_many_lines'
          end as reason
        from priced
        left join billed on billed.student_id = priced.student_id
      ),
      shares as (
        select
          student_id, array_agg(payer_id order by share desc, payer_id) as payer_ids,
          array_agg(share order by share desc, payer_id) as shares
        from paying
        group by student_id
      )
      select
        judged.student_id,
        case
          when reason is null then 'will_create'
          when reason = 'already_billed' then reason
          when reason in ('left', 'nothing_to_bill') then 'skipped'
          else 'failed'
        end,
        nullif(reason, 'already_billed'), sibling_rank, items_total, discounts_total, total_amount, lines,
        coalesce(parts.invoices, '[]')
      from judged
      left join shares on shares.student_id = judged.student_id
      left join lateral (
        select
          jsonb_agg(
            jsonb_build_object(
              'payer_id', payer_id, 'share', share::text, 'instalment', instalment, 'due_date', due_date,
              'amount', amount_text(amount)
            )
            order by instalment, place
          ) as invoices
        from unnest(
          coalesce(payer_ids, array[null::uuid]), coalesce(shares, array[100.0000]),
          case when cardinality(shares) > 1 then split_by_shares(total_amount, shares, decimals) else array[total_amount] end
        ) with ordinality as payer (payer_id, share, part, place)
        cross join unnest(due_dates) with ordinality as due (due_date, instalment)
        cross join lateral (
          select instalment_of(part, instalment, instalments, decimals)::numeric(18, 2) as amount
        ) as split
        where reason is null
          and amount > 0
      ) as parts on true;
    end
  $function$;
