-- Billing a plan for many students at once: a preview of each student, and the invoices that its commit makes.
--
-- contract: a constraint is dropped only to be added again, if the file runs twice
set local lock_timeout = '2s';

-- One of equal parts of an amount: each is rounded down, and the units that are left go to the first parts. A unit is a
-- cent, or one in a currency without cents (`decimals` 0).
create or replace function instalment_of(amount numeric, instalment bigint, instalments int, decimals int) returns numeric
  language sql immutable parallel safe
  return trunc(amount / instalments, decimals)
    + case decimals when 0 then 1 else 0.01 end
      * case
          when instalment * case decimals when 0 then 1 else 0.01 end
            <= amount - instalments * trunc(amount / instalments, decimals)
          then 1
          else 0
        end;

-- Tells whether days follow each other, each after the one before.
create or replace function is_ascending(days date[]) returns boolean
  language sql immutable parallel safe
  return (
    select bool_and(day > before) is not false
    from (select day, lag(day) over (order by place) as before from unnest(days) with ordinality as given (day, place)) as pairs
  );

-- The discounts of a student as lines, in turn. Each is taken from the items of its categories, and never takes more than
-- earlier discounts have left of these items. `base` is the sum of the items, and `cut` is what a discount could not take.
create or replace function discount_lines(amounts numeric[], item_categories text[], discounts jsonb, decimals int)
  returns jsonb
  language plpgsql immutable parallel safe
  set search_path = public, pg_temp
  as $function$
    declare
      remaining numeric[] := amounts;
      lines jsonb := '[]';
      discount jsonb;
      base numeric;
      in_reach numeric;
      wanted numeric(18, 2);
      taken numeric(18, 2);
      seen numeric;
      seen_taken numeric;
      is_hit boolean[];
    begin
      for discount in select value from jsonb_array_elements(discounts) loop
        select
          array_agg(hit order by place), coalesce(sum(amount) filter (where hit), 0),
          coalesce(sum(remaining[place]) filter (where hit), 0)
        into is_hit, base, in_reach
        from (
          select
            place, amount,
            jsonb_typeof(discount -> 'categories') <> 'array' or discount -> 'categories' ? category as hit
          from unnest(amounts, item_categories) with ordinality as item (amount, category, place)
        ) as items;
        wanted := coalesce(
          round(base * (discount ->> 'percent')::numeric / 100, decimals), least((discount ->> 'amount')::numeric, base)
        );
        continue when wanted = 0;
        taken := least(wanted, in_reach);
        -- Each item bears its part. The parts are differences of rounded sums, so they sum to what is taken.
        seen := 0;
        seen_taken := 0;
        for place in 1 .. cardinality(amounts) loop
          continue when taken = 0 or not is_hit[place];
          seen := seen + remaining[place];
          remaining[place] := remaining[place] - (round(taken * seen / in_reach, decimals) - seen_taken);
          seen_taken := round(taken * seen / in_reach, decimals);
        end loop;
        lines := lines || jsonb_build_array(jsonb_strip_nulls(
          (discount - array['categories', 'amount'])
          || jsonb_build_object(
            'amount', amount_text(-taken), 'base', amount_text(base),
            'cut', case when taken < wanted then amount_text(wanted - taken) end
          )
        ));
      end loop;
      return lines;
    end
  $function$;

create table if not exists billing_runs (
  id uuid not null default uuidv7(),
  school_id uuid not null,
  fee_plan_id uuid not null,
  plan_version int not null,
  period text not null,
  -- The students: those of a group, or these, or all of the school.
  group_name text,
  student_ids uuid[],
  -- One invoice is due on each.
  due_dates date[] not null,
  issued_at timestamptz not null,
  -- The day of issued_at in the school's time zone.
  issued_on date not null,
  -- The number of rows by verdict, and the sums of the lines by category: of what is to be billed, and then of what was.
  counts jsonb not null,
  totals jsonb not null,
  total_amount numeric(18, 2) not null,
  invoices_count int not null,
  committed_at timestamptz,
  abandoned_at timestamptz,
  reverted_at timestamptz,
  revert_reason text,
  status text not null generated always as (
    case
      when reverted_at is not null then 'REVERTED'
      when committed_at is not null then 'COMMITTED'
      when abandoned_at is not null then 'ABANDONED'
      else 'PREVIEW'
    end
  ) stored,
  -- The block of numbers that its invoices have; null if the school has no prefix.
  number_year int,
  first_number bigint,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint billing_runs_pkey primary key (id, school_id),
  -- For the foreign key of invoices.
  constraint billing_runs_period_key unique (id, school_id, fee_plan_id, period),
  constraint billing_runs_fee_plan_id_fkey foreign key (fee_plan_id, school_id)
    references fee_plans (id, school_id) on delete restrict,
  constraint billing_runs_period_length check (char_length(period) between 1 and 50),
  constraint billing_runs_period_plain check (is_plain_text(period) and position(E'\n' in period) = 0),
  constraint billing_runs_due_dates_in_range check (cardinality(due_dates) between 1 and 36),
  constraint billing_runs_due_dates_in_calendar
    check (due_dates[1] >= '1900-01-01' and due_dates[cardinality(due_dates)] <= '2999-12-31'),
  constraint billing_runs_due_dates_ascending check (is_ascending(due_dates)),
  constraint billing_runs_due_after_issue check (due_dates[1] >= issued_on),
  constraint billing_runs_issued_at_in_calendar check (issued_at between '1900-01-01Z' and '2999-12-31Z'),
  constraint billing_runs_one_end check (num_nonnulls(committed_at, abandoned_at) <= 1),
  constraint billing_runs_reverted_after_commit check (reverted_at is null or committed_at is not null),
  constraint billing_runs_reverted_has_reason check ((reverted_at is null) = (revert_reason is null)),
  constraint billing_runs_revert_reason_length check (char_length(revert_reason) between 1 and 500),
  constraint billing_runs_revert_reason_plain check (is_plain_text(revert_reason))
);

-- A school's runs, ordered by id.
create index if not exists billing_runs_school_id_id_idx on billing_runs (school_id, id);
-- A plan's runs; also the index of the foreign key.
create index if not exists billing_runs_fee_plan_id_school_id_idx on billing_runs (fee_plan_id, school_id);

create or replace trigger billing_runs_stay
  before update on billing_runs
  for each row when (
    new.school_id <> old.school_id
    or new.fee_plan_id <> old.fee_plan_id
    or new.plan_version <> old.plan_version
    or new.period <> old.period
    or new.due_dates <> old.due_dates
    or new.issued_at <> old.issued_at
    or old.abandoned_at is not null
    or (old.committed_at is not null and new.committed_at is distinct from old.committed_at)
  )
  execute function refuse_change_of_movement('billing_runs_are_fixed');
create or replace trigger billing_runs_set_updated_at
  before update on billing_runs
  for each row execute function set_updated_at();
create or replace trigger billing_runs_are_audited
  after insert or update or delete on billing_runs
  for each row execute function append_to_audit_log();
create or replace trigger billing_runs_never_truncated
  before truncate on billing_runs
  for each statement execute function refuse_truncate();

-- What the run does with each student. The audit trail has the run and each invoice, so it has none of these.
create table if not exists billing_run_rows (
  id uuid not null default uuidv7(),
  school_id uuid not null,
  billing_run_id uuid not null,
  student_id uuid not null,
  verdict text not null,
  reason text,
  -- 1 for the eldest of the enrolled siblings, as it was then.
  sibling_rank int not null,
  items_total numeric(18, 2) not null,
  discounts_total numeric(18, 2) not null,
  total_amount numeric(18, 2) not null,
  lines jsonb not null,
  invoices jsonb not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint billing_run_rows_pkey primary key (id, school_id),
  -- Also the index of the foreign key.
  constraint billing_run_rows_student_id_key unique (billing_run_id, school_id, student_id),
  constraint billing_run_rows_billing_run_id_fkey foreign key (billing_run_id, school_id)
    references billing_runs (id, school_id) on delete restrict,
  constraint billing_run_rows_student_id_fkey foreign key (student_id, school_id)
    references students (id, school_id) on delete restrict,
  constraint billing_run_rows_verdict_known
    check (verdict in ('will_create', 'already_billed', 'skipped', 'failed', 'created', 'changed')),
  constraint billing_run_rows_total_is_what_is_left
    check (total_amount = items_total + discounts_total and total_amount >= 0)
);

-- A run's rows, ordered by id.
create index if not exists billing_run_rows_billing_run_id_id_idx on billing_run_rows (billing_run_id, school_id, id);
-- A student's rows; also the index of the foreign key.
create index if not exists billing_run_rows_student_id_school_id_idx on billing_run_rows (student_id, school_id);

create or replace trigger billing_run_rows_set_updated_at
  before update on billing_run_rows
  for each row execute function set_updated_at();

-- The run, the plan, the period and the instalment of an invoice that a run made. An invoice that somebody added has none.
alter table invoices
  add column if not exists billing_run_id uuid,
  add column if not exists fee_plan_id uuid,
  add column if not exists period text,
  add column if not exists instalment int;
alter table invoices
  drop constraint if exists invoices_billing_run_id_fkey,
  add constraint invoices_billing_run_id_fkey foreign key (billing_run_id, school_id, fee_plan_id, period)
    references billing_runs (id, school_id, fee_plan_id, period) on delete restrict not valid,
  drop constraint if exists invoices_of_runs_are_whole,
  add constraint invoices_of_runs_are_whole
    check (num_nonnulls(billing_run_id, fee_plan_id, period, instalment) in (0, 4)) not valid;

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

-- The next numbers of a series of a school, one after the other: the first of them, with its year; no row if the school
-- has no prefix. The year is that of `taken_at` in the school's time zone: of the moment at which the numbers are taken,
-- not of the date on the document.
--
-- The counter stays locked until the transaction ends. So the numbers are in the order of the commits, and a statement that
-- fails gives its numbers back. The lock of the school is for the first number: a prefix that changes at this moment is
-- waited for.
create or replace function take_numbers(school uuid, of_series text, taken_at timestamptz, how_many int)
  returns table (prefix text, year int, first_number bigint)
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    declare
      place record;
      taken_year int;
      last bigint;
    begin
      select invoice_prefix, time_zone into place
      from schools
      where id = school and invoice_prefix is not null
      for key share;
      if not found then
        return;
      end if;
      taken_year := extract(year from taken_at at time zone place.time_zone);
      insert into document_counters as counter (school_id, series, year, last_number)
      values (school, of_series, taken_year, how_many)
      on conflict on constraint document_counters_pkey do update set last_number = counter.last_number + how_many
      returning last_number into last;
      return query select place.invoice_prefix, taken_year, last - how_many + 1;
    end
  $function$;

-- As before: the next number, written as on the document; null if the school has no prefix.
create or replace function take_number(school uuid, of_series text, taken_at timestamptz) returns text
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    begin
      return (
        select document_number(prefix, of_series, year, first_number)
        from take_numbers(school, of_series, taken_at, 1)
      );
    end
  $function$;

-- Takes the numbers of all invoices of a run, when the run is committed.
create or replace function number_run() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    begin
      select year, first_number into new.number_year, new.first_number
      from take_numbers(new.school_id, 'INVOICE', now(), new.invoices_count);
      return new;
    end
  $function$;

create or replace trigger billing_runs_take_their_numbers
  before update of committed_at on billing_runs
  for each row when (old.committed_at is null and new.committed_at is not null and new.invoices_count > 0)
  execute function number_run();

-- Refuses an invoice of a run that is not being committed in this transaction, or whose number is not of the run's block.
-- A unique index keeps two of them from one number.
create or replace function check_invoice_of_run() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    declare
      run record;
    begin
      select committed_at, number_year, first_number, invoices_count, invoice_prefix into run
      from billing_runs
      join schools on schools.id = billing_runs.school_id
      where billing_runs.id = new.billing_run_id and billing_runs.school_id = new.school_id;
      if run.committed_at is distinct from now()
         or run.first_number is null and new.number is not null
         or run.first_number is not null and not coalesce(
           substring(new.number from '[0-9]+$')::bigint between run.first_number and run.first_number + run.invoices_count - 1
           and new.number = document_number(
             run.invoice_prefix, 'INVOICE', run.number_year, substring(new.number from '[0-9]+$')::bigint
           ),
           false
         )
      then
        raise exception 'invoice % is not of the commit of run %', new.number, new.billing_run_id
          using errcode = 'integrity_constraint_violation',
                constraint = 'invoices_of_runs_come_with_the_commit',
                table = 'invoices';
      end if;
      return new;
    end
  $function$;

create or replace trigger invoices_take_their_number
  before insert on invoices
  for each row when (new.billing_run_id is null)
  execute function number_document('INVOICE');
create or replace trigger invoices_come_with_the_commit_of_their_run
  before insert on invoices
  for each row when (new.billing_run_id is not null)
  execute function check_invoice_of_run();
create or replace trigger invoices_keep_their_run
  before update of billing_run_id, fee_plan_id, period, instalment on invoices
  for each row when (
    new.billing_run_id is distinct from old.billing_run_id
    or new.fee_plan_id is distinct from old.fee_plan_id
    or new.period is distinct from old.period
    or new.instalment is distinct from old.instalment
  )
  execute function refuse_change_of_movement('invoices_run_is_fixed');
