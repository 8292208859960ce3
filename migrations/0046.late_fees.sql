-- Late fees: billing runs of another kind, whose invoices are each for one late invoice.
--
-- contract: a constraint is dropped only to be added again, if the file runs twice
set local lock_timeout = '2s';

alter table billing_runs
  add column if not exists kind text not null default 'FEES';
alter table billing_runs
  drop constraint if exists billing_runs_kind_known,
  add constraint billing_runs_kind_known check (kind in ('FEES', 'LATE_FEES')) not valid;

create or replace trigger billing_runs_keep_their_kind
  before update of kind on billing_runs
  for each row when (new.kind <> old.kind)
  execute function refuse_change_of_movement('billing_runs_are_fixed');

alter table invoices
  -- Of a late fee: the invoice that is late, and the after_days of the rule, by which each version of a plan knows the
  -- rule. Its instalment is the tier.
  add column if not exists late_invoice_id uuid,
  add column if not exists late_after_days int;
alter table invoices
  drop constraint if exists invoices_late_invoice_id_fkey,
  add constraint invoices_late_invoice_id_fkey foreign key (late_invoice_id, school_id)
    references invoices (id, school_id) on delete restrict not valid,
  drop constraint if exists invoices_late_fees_are_whole,
  add constraint invoices_late_fees_are_whole check (
    (late_invoice_id is null) = (late_after_days is null) and (late_invoice_id is null or billing_run_id is not null)
  ) not valid;

create or replace trigger invoices_keep_their_late_invoice
  before update of late_invoice_id, late_after_days on invoices
  for each row when (
    new.late_invoice_id is distinct from old.late_invoice_id
    or new.late_after_days is distinct from old.late_after_days
  )
  execute function refuse_change_of_movement('invoices_run_is_fixed');

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
          -- The period of a late fee is a day, which a period could be called, too.
          and late_invoice_id is null
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

-- The late fees of a plan, and what a run would do with each student who has an overdue invoice of the plan, as
-- bill_students says it. A student who left still owes, and has a row.
--
-- What a payer has paid in advance is first set against the payer's overdue invoices of all kinds, oldest due first, as
-- receipts/allocate.sql would. What then stays overdue is the base of the fees. A tier of a rule is due each time that
-- its after_days have passed. All tiers that are due and were never charged are charged.
--
-- Without enable_nestloop, because the sizes of these sets cannot be estimated, and each has as many rows as the school
-- has invoices.
create or replace function bill_late_fees(
  school uuid, plan uuid, of_version int, due_dates date[], issue_day date, of_group text, of_students uuid[]
)
  returns table (
    student_id uuid, verdict text, reason text, sibling_rank int, items_total numeric, discounts_total numeric,
    total_amount numeric, lines jsonb, invoices jsonb
  )
  language plpgsql volatile
  set search_path = public, pg_temp
  set enable_nestloop = off
  as $function$
    #variable_conflict use_column
    declare
      decimals int;
      issued_until timestamptz;
    begin
      select currency_decimals(currency), end_of_day(issue_day, time_zone) into decimals, issued_until
      from schools
      where id = school;
      return query
      with rules as materialized (
        select position as turn, description, percent, amount, minimum, after_days, maximum_times
        from fee_plan_items
        where fee_plan_id = plan and school_id = school and version = of_version and kind = 'late_fee'
      ),
      chosen as materialized (
        select id
        from students
        where school_id = school
          and (of_group is null or group_name = of_group)
          and (of_students is null or id = any(of_students))
      ),
      credits as materialized (
        select payer_id, sum(unallocated) as credit
        from receipts
        where school_id = school and payer_id is not null and unallocated > 0
        group by payer_id
      ),
      overdue as materialized (
        select
          id, student_id, invoices.payer_id, due_date, issued_at, issue_day - due_date as days,
          -- What the credit leaves of it: the part of the running sum that is beyond the credit. No credit is a null.
          greatest(
            least(
              balance_due,
              sum(balance_due) over (
                partition by invoices.payer_id
                order by due_date, issued_at, id
                rows between unbounded preceding and current row
              ) - credit
            ),
            0
          ) as base,
          fee_plan_id = plan and late_invoice_id is null as is_of_plan
        from invoices
        left join credits on credits.payer_id = invoices.payer_id
        where school_id = school and balance_due > 0 and due_date < issue_day and issued_at <= issued_until
      ),
      late as materialized (
        select id, student_id, payer_id, due_date, issued_at, days, base
        from overdue
        where is_of_plan
          and student_id in (select chosen.id from chosen)
      ),
      charged as materialized (
        select late_invoice_id, late_after_days, instalment
        from invoices
        where school_id = school and fee_plan_id = plan and late_invoice_id is not null and voided_at is null
      ),
      tiers as materialized (
        select
          late.id, student_id, payer_id, due_date, issued_at, base, turn, description, percent, after_days, tier,
          case
            when base = 0 then 0
            when percent is null then rules.amount
            else greatest(round(base * percent / 100, decimals), minimum)
          end::numeric(12, 2) as amount,
          (late.id, after_days, tier) in (
            select late_invoice_id, late_after_days, instalment from charged
          ) as is_charged
        from late
        left join rules on days >= after_days
        left join lateral generate_series(1, least(maximum_times, days / after_days)) as tier on true
      ),
      -- A fee that was charged before has no amount, and nor has a fee of zero.
      fees as (
        select
          student_id, payer_id, due_date, issued_at, id, base, turn, description, percent, after_days, tier,
          case when not is_charged then nullif(amount, 0) end as amount,
          -- The most that keeps a fee from being charged.
          case
            when tier is null then 1
            when is_charged then 2
            when base = 0 then 3
            when amount = 0 then 4
            else 5
          end as progress
        from tiers
      )
      select
        student_id,
        case max(progress) when 5 then 'will_create' when 2 then 'already_billed' else 'skipped' end,
        case max(progress) when 1 then 'not_late_enough' when 3 then 'covered_by_credit' when 4 then 'nothing_to_bill' end,
        1, coalesce(sum(amount), 0.00), 0.00, coalesce(sum(amount), 0.00),
        coalesce(
          jsonb_agg(
            jsonb_strip_nulls(
              jsonb_build_object(
                'description', description, 'category', 'late_fee', 'amount', amount_text(amount),
                'base', amount_text(base), 'percent', percent::text, 'late_invoice_id', id, 'after_days', after_days,
                'tier', tier
              )
            )
            order by due_date, issued_at, id, turn, tier
          ) filter (where amount > 0),
          '[]'
        ),
        coalesce(
          jsonb_agg(
            jsonb_build_object(
              'payer_id', payer_id, 'share', '100.0000', 'instalment', tier, 'due_date', due_dates[1],
              'amount', amount_text(amount), 'late_invoice_id', id
            )
            order by due_date, issued_at, id, turn, tier
          ) filter (where amount > 0),
          '[]'
        )
      from fees
      group by student_id;
    end
  $function$;

-- What a run of a kind would do with each student.
create or replace function bill_run(
  of_kind text, school uuid, plan uuid, of_version int, of_period text, due_dates date[], issue_day date, of_group text,
  of_students uuid[]
)
  returns table (
    student_id uuid, verdict text, reason text, sibling_rank int, items_total numeric, discounts_total numeric,
    total_amount numeric, lines jsonb, invoices jsonb
  )
  language plpgsql volatile
  set search_path = public, pg_temp
  as $function$
    #variable_conflict use_column
    begin
      if of_kind = 'LATE_FEES' then
        return query
        select
          student_id, verdict, reason, sibling_rank, items_total, discounts_total, total_amount, lines, invoices
        from bill_late_fees(school, plan, of_version, due_dates, issue_day, of_group, of_students);
      else
        return query
        select
          student_id, verdict, reason, sibling_rank, items_total, discounts_total, total_amount, lines, invoices
        from bill_students(school, plan, of_version, of_period, due_dates, issue_day, of_group, of_students);
      end if;
    end
  $function$;
