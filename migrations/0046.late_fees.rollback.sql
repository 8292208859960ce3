-- contract: late fees are rolled back with their invoices' columns
set local lock_timeout = '2s';

drop function if exists bill_run(text, uuid, uuid, int, text, date[], date, text, uuid[]);
drop function if exists bill_late_fees(uuid, uuid, int, date[], date, text, uuid[]);

-- As in 0038.
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
        where fee_plan_id = plan and school_id = school and version = of_version and kind <> 'item'
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

drop trigger if exists invoices_keep_their_late_invoice on invoices;
alter table invoices drop constraint if exists invoices_late_fees_are_whole;
alter table invoices drop constraint if exists invoices_late_invoice_id_fkey;
alter table invoices
  drop column if exists late_after_days,
  drop column if exists late_invoice_id;
drop trigger if exists billing_runs_keep_their_kind on billing_runs;
alter table billing_runs drop constraint if exists billing_runs_kind_known;
alter table billing_runs drop column if exists kind;
