-- The committed run: one row, or none if the tenant has no such run, it is no preview any more, :if_match does not list its
-- version, or something changed and :all_or_nothing is true.
--
-- The plan is locked first, so a second run of the plan waits here. Then each student is computed again. If the result is
-- that of the preview, the student's invoices are made; otherwise the student is `changed`. The numbers are taken as one
-- block. A line of an invoice is the difference of two sums: of the lines up to it and of those before it, both split like
-- the total. So the lines sum to their invoice, and over all invoices to the line of the preview.
with author as materialized (select written_by(:request_actor, :request_id) as noted),
run as materialized (
  select
    billing_runs.id, billing_runs.school_id, fee_plan_id, plan_version, version, fee_plans.name as plan_name, period,
    group_name, student_ids, kind, due_dates, billing_runs.issued_at, issued_on, cardinality(due_dates) as instalments
  from billing_runs
  join fee_plans on fee_plans.id = fee_plan_id and fee_plans.school_id = billing_runs.school_id
  where (select noted from author)
    and billing_runs.id = :billing_run_id
    and (:tenant::uuid is null or billing_runs.school_id = :tenant)
    and (:tenant::uuid is null or fee_plans.school_id = :tenant)
    and (:if_match::timestamptz[] is null or billing_runs.updated_at = any(:if_match))
    and status = 'PREVIEW'
  for no key update
),
billed as materialized (
  select student_id, lines, invoices
  from run
  cross join lateral bill_run(
    kind, run.school_id, fee_plan_id, version, period, due_dates, issued_on, group_name, student_ids
  )
  where verdict = 'will_create'
),
judged as materialized (
  select
    billing_run_rows.id, billing_run_rows.school_id, billing_run_rows.student_id, full_name, total_amount,
    billing_run_rows.lines, billing_run_rows.invoices,
    -- A look-up in a hash table. A join would be planned by statistics, which the rows of a new run do not have.
    (billing_run_rows.student_id, billing_run_rows.lines, billing_run_rows.invoices) in (
      select billed.student_id, billed.lines, billed.invoices from billed
    ) as holds
  from run
  join billing_run_rows on billing_run_rows.billing_run_id = run.id and billing_run_rows.school_id = run.school_id
    and (:tenant::uuid is null or billing_run_rows.school_id = :tenant)
  join students on students.id = billing_run_rows.student_id and students.school_id = run.school_id
    and (:tenant::uuid is null or students.school_id = :tenant)
  where verdict = 'will_create'
),
whole as (
  select
    count(*) filter (where not holds) as changed,
    jsonb_strip_nulls(
      jsonb_build_object(
        'created', nullif(count(*) filter (where holds), 0), 'changed', nullif(count(*) filter (where not holds), 0)
      )
    ) as counts,
    coalesce(sum(total_amount) filter (where holds), 0.00) as total_amount,
    coalesce(sum(jsonb_array_length(invoices)) filter (where holds), 0)::int as invoices_count
  from judged
),
sums as (
  select coalesce(jsonb_agg(jsonb_build_object('category', category, 'amount', amount_text(amount)) order by category), '[]') as totals
  from (
    select line ->> 'category' as category, sum((line ->> 'amount')::numeric) as amount
    from judged
    cross join lateral jsonb_array_elements(lines) as line
    where holds
    group by line ->> 'category'
  ) as categories
),
committed as (
  update billing_runs
  set committed_at = now(),
      counts = billing_runs.counts - 'will_create' || whole.counts,
      totals = sums.totals,
      total_amount = whole.total_amount,
      invoices_count = whole.invoices_count
  from run
  cross join whole
  cross join sums
  where billing_runs.id = run.id
    and billing_runs.school_id = run.school_id
    and (:tenant::uuid is null or billing_runs.school_id = :tenant)
    and not (:all_or_nothing::boolean and changed > 0)
  returning
    billing_runs.id, billing_runs.school_id, billing_runs.kind, billing_runs.fee_plan_id as plan_id,
    billing_runs.plan_version, billing_runs.period, billing_runs.group_name as "group", billing_runs.due_dates,
    billing_runs.issued_at, status, billing_runs.counts, billing_runs.totals, billing_runs.total_amount,
    billing_runs.invoices_count, committed_at, abandoned_at, reverted_at, revert_reason, billing_runs.created_at,
    billing_runs.updated_at, plan_name, instalments, number_year, first_number
),
-- What is billed at once: all lines of a student, or one late fee, which is a line with an invoice of its own.
charges as (
  select student_id, full_name, turn, charged.lines, charged.invoices
  from committed
  cross join judged
  cross join lateral (
    select 1 as turn, judged.lines, judged.invoices
    where kind = 'FEES'
    union all
    select turn, jsonb_build_array(line), jsonb_build_array(invoice)
    from rows from (jsonb_array_elements(judged.lines), jsonb_array_elements(judged.invoices)) with ordinality
      as fee (line, invoice, turn)
    where kind = 'LATE_FEES'
  ) as charged
  where holds
),
-- What each payer bears of the lines up to each line, in the end the payer's invoices. A payer whose share is less than a
-- cent has no invoice, and the others bear all lines. All that a payer's invoices need is in one row, so that no join depends
-- on the statistics of tables that this statement fills.
borne as (
  select
    student_id, full_name, turn, charges.lines, charges.invoices, payer_id, payer_place, descriptions, categories, decimals,
    case
      when cardinality(shares) = 1 then sums_so_far
      else array(
        select
          case
            when place = cardinality(sums_so_far) then payer_totals[payer_place]
            else (split_by_shares(so_far, shares, decimals))[payer_place]
          end
        from unnest(sums_so_far) with ordinality as line (so_far, place)
        order by place
      )
    end as parts
  from committed
  join schools on schools.id = committed.school_id and (:tenant::uuid is null or schools.id = :tenant)
  cross join charges
  cross join lateral (select currency_decimals(currency) as decimals) as unit
  cross join lateral (
    select
      array_agg(payer_id order by share desc, payer_id) as payer_ids,
      array_agg(share * 100 / shares_total order by share desc, payer_id) as shares,
      array_agg(total order by share desc, payer_id) as payer_totals
    from (
      select payer_id, share, sum(amount) as total, sum(share) over () as shares_total
      from jsonb_to_recordset(charges.invoices) as invoice (payer_id uuid, share numeric, amount numeric)
      group by payer_id, share
    ) as totals
  ) as payers
  cross join unnest(payer_ids) with ordinality as payer (payer_id, payer_place)
  cross join lateral (
    select
      array_agg(line ->> 'description' order by place) as descriptions,
      array_agg(line ->> 'category' order by place) as categories, array_agg(so_far order by place) as sums_so_far
    from (
      select place, line, sum((line ->> 'amount')::numeric) over (order by place) as so_far
      from jsonb_array_elements(charges.lines) with ordinality as listed (line, place)
    ) as sums
  ) as lines
),
-- At most one row.
early_rule as materialized (
  select percent, amount, days_before_due
  from run
  join fee_plan_items on fee_plan_items.fee_plan_id = run.fee_plan_id and fee_plan_items.school_id = run.school_id
    and fee_plan_items.version = run.plan_version and fee_plan_items.kind = 'early_discount'
    and (:tenant::uuid is null or fee_plan_items.school_id = :tenant)
),
planned as materialized (
  select
    uuidv7() as id, borne.student_id, borne.payer_id, instalment, due_date, amount, descriptions, categories, parts,
    decimals, late_invoice_id, (borne.lines -> 0 ->> 'after_days')::int as late_after_days,
    row_number() over (order by full_name, borne.student_id, turn, instalment, payer_place) - 1 as number,
    -- These two are over the order of the numbers, so that nothing is sorted twice.
    sum(amount) over (partition by full_name, borne.student_id, turn, instalment order by payer_place) as so_far,
    sum(amount) over (partition by full_name, borne.student_id, turn, instalment) as of_instalment,
    -- Instalments of nothing have no invoice, and the lines are on those that have one.
    count(*) over (partition by borne.student_id, turn, borne.payer_id)::int as invoices_count
  from borne
  join lateral jsonb_to_recordset(borne.invoices)
    as invoice (payer_id uuid, instalment int, due_date date, amount numeric(12, 2), late_invoice_id uuid)
    on invoice.payer_id is not distinct from borne.payer_id
),
new_invoices as (
  insert into invoices (
    id, school_id, student_id, payer_id, total_amount, issued_at, due_date, description, number, billing_run_id,
    fee_plan_id, period, instalment, late_invoice_id, late_after_days, early_discount, early_until, created_at
  )
  select
    planned.id, committed.school_id, student_id, payer_id, planned.amount, issued_at, due_date,
    case
      when planned.late_invoice_id is not null then (
        -- What the late invoice is called is cut, so that all fits in 500 characters. No joiner may then be the last.
        select
          format(
            '%s for %s due %s', descriptions[1],
            rtrim(
              left(
                coalesce(invoices.number, nullif(translate(description, E'\n', ' '), ''), 'an invoice'),
                480 - char_length(descriptions[1])
              ),
              U&' \200c\200d'
            ),
            to_char(invoices.due_date, 'YYYY-MM-DD')
          )
        from invoices
        where invoices.id = planned.late_invoice_id
          and invoices.school_id = committed.school_id
          and (:tenant::uuid is null or invoices.school_id = :tenant)
      )
      when instalments > 1 then format('%s, %s (%s/%s)', plan_name, period, instalment, instalments)
      else plan_name || ', ' || period
    end,
    document_number(invoice_prefix, 'INVOICE', number_year, first_number + number), committed.id, plan_id, period,
    instalment, late_invoice_id, late_after_days, early.discount, early.until, committed_at
  from committed
  join schools on schools.id = committed.school_id and (:tenant::uuid is null or schools.id = :tenant)
  cross join planned
  -- An amount is split among the payers of an instalment like a line: by the difference of two rounded sums.
  left join lateral (
    select discount, until
    from early_rule
    cross join lateral (
      select
        case
          when percent is not null then round(planned.amount * percent / 100, decimals)
          else
            round(early_rule.amount * so_far / of_instalment, decimals)
              - round(early_rule.amount * (so_far - planned.amount) / of_instalment, decimals)
        end as discount,
        end_of_day(due_date - days_before_due, time_zone) as until
    ) as offer
    where planned.late_invoice_id is null
      and discount > 0
      and discount < planned.amount
      and until >= issued_at
  ) as early on true
  order by planned.number
  returning id
),
new_lines as (
  insert into invoice_lines (school_id, invoice_id, position, description, category, amount, created_at)
  select
    committed.school_id, planned.id, line.position, line.description, line.category, line.amount, committed_at
  from committed
  cross join planned
  cross join lateral (
    select row_number() over (order by place) as position, description, category, amount
    from (
      select
        place, descriptions[place] as description, categories[place] as category,
        instalment_of(parts[place], instalment, planned.invoices_count, decimals)
          - coalesce(instalment_of(parts[place - 1], instalment, planned.invoices_count, decimals), 0) as amount
      from generate_series(1, cardinality(parts)) as place
    ) as differences
    where amount <> 0
  ) as line
  -- First the invoices, then their lines: the audit entry of an invoice has its lines.
  where (select count(*) from new_invoices) > 0
  order by planned.number, line.position
),
marked as (
  update billing_run_rows
  set verdict = case when holds then 'created' else 'changed' end
  from committed
  cross join judged
  where billing_run_rows.id = judged.id
    and billing_run_rows.school_id = committed.school_id
    and (:tenant::uuid is null or billing_run_rows.school_id = :tenant)
)
select
  id, school_id, kind, plan_id, plan_version, period, "group", due_dates, issued_at, status, counts, totals, total_amount,
  invoices_count, committed_at, abandoned_at, reverted_at, revert_reason, created_at, updated_at
from committed
