-- The schema as the migrations leave it, in one file to read. `make schema` writes it, a test compares it, and nothing
-- runs it: a database is made by the migrations.


CREATE TYPE account_line AS (
	id uuid,
	student_id uuid,
	total_amount text,
	issued_at text,
	due_date date,
	description text,
	credited_total text,
	discounted_total text,
	written_off_total text,
	payments_total text,
	refunds_total text,
	paid_total text,
	balance_due text,
	status text
);

CREATE TYPE account_totals AS (
	invoiced_total text,
	credited_total text,
	discounted_total text,
	written_off_total text,
	payments_total text,
	refunds_total text,
	paid_total text,
	balance_due_total text,
	overdue_total text
);

CREATE TYPE ageing AS (
	current text,
	days_1_30 text,
	days_31_60 text,
	days_61_90 text,
	days_over_90 text
);

CREATE TYPE statement_line AS (
	id uuid,
	student_id uuid,
	total_amount text,
	issued_at text,
	due_date date,
	description text,
	payments_total text,
	refunds_total text,
	paid_total text,
	balance_due text,
	status text
);

CREATE TYPE statement_totals AS (
	invoiced_total text,
	payments_total text,
	refunds_total text,
	paid_total text,
	balance_due_total text,
	overdue_total text
);

CREATE FUNCTION ageing_bucket(days_past_due integer) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN LEAST(GREATEST(((days_past_due + 29) / 30), 0), 4);

CREATE FUNCTION amount_text(amount numeric) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (COALESCE(amount, 0.00))::text;

CREATE FUNCTION ageing_of(bucket_0 numeric, bucket_1 numeric, bucket_2 numeric, bucket_3 numeric, bucket_4 numeric) RETURNS ageing
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ROW(amount_text(bucket_0), amount_text(bucket_1), amount_text(bucket_2), amount_text(bucket_3), amount_text(bucket_4))::ageing;

CREATE FUNCTION allocations_of_receipt(receipt uuid, school uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      return (
        select coalesce(jsonb_agg(to_jsonb(allocation) order by allocation.allocated_at, allocation.payment_id), '[]')
        from receipt_allocations
        cross join lateral (
          select payment_id, invoice_id, student_id, full_name, description, amount, allocated_at, reversed_at
        ) as allocation
        where receipt_id = receipt and school_id = school
      );
    end
  $$;

CREATE FUNCTION append_login_to_audit_log(noted_action text, noted_user_id uuid, noted_school_id uuid, noted_actor text, noted_request_id text, details jsonb) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      insert into audit_log (school_id, entity, entity_id, action, actor, request_id, row_after)
      values (
        coalesce(noted_school_id, '00000000-0000-0000-0000-000000000000'),
        'users',
        coalesce(noted_user_id, '00000000-0000-0000-0000-000000000000'),
        noted_action,
        noted_actor,
        noted_request_id,
        details
      );
      return true;
    end
  $$;

CREATE FUNCTION append_to_audit_log() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    AS $$
    declare
      row_before jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) - array['password_hash', 'key_hash'] end;
      row_after jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) - array['password_hash', 'key_hash'] end;
      present jsonb := coalesce(row_after, row_before);
      -- On a partition or a shard, tg_table_name is the name of that part, such as invoices_102244.
      table_name text := rtrim(tg_table_name, '_0123456789');
    begin
      if table_name = 'invoices' and tg_op = 'INSERT' then
        row_after := row_after || coalesce(
          (
            select jsonb_build_object('lines', jsonb_agg(to_jsonb(line) order by line.position))
            from invoice_lines
            cross join lateral (select id, position, description, category, amount) as line
            where invoice_id = new.id and school_id = new.school_id
            having count(*) > 0
          ),
          '{}'
        );
      end if;
      insert into audit_log (school_id, entity, entity_id, action, actor, request_id, row_before, row_after)
      values (
        coalesce(
          (case when table_name = 'schools' then present ->> 'id' else present ->> 'school_id' end)::uuid,
          '00000000-0000-0000-0000-000000000000'
        ),
        table_name,
        (present ->> 'id')::uuid,
        tg_op,
        coalesce(nullif(current_setting('school_billing.actor', true), ''), 'role:' || session_user),
        nullif(current_setting('school_billing.request_id', true), ''),
        row_before,
        row_after
      );
      return null;
    end
  $$;

CREATE FUNCTION audit_digest(id uuid, school_id uuid, entity text, entity_id uuid, action text, actor text, database_role text, request_id text, created_at timestamp with time zone, row_before jsonb, row_after jsonb) RETURNS bytea
    LANGUAGE sql STABLE
    RETURN sha256(convert_to((jsonb_build_array(id, school_id, entity, entity_id, action, actor, database_role, request_id, EXTRACT(epoch FROM created_at), row_before, row_after))::text, 'UTF8'::name));

CREATE FUNCTION is_audited_action(value text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    begin
      return value in ('INSERT', 'UPDATE', 'DELETE', 'LOGIN', 'LOGIN_FAILED', 'TOKEN_REUSED');
    end
  $$;

CREATE TABLE audit_log (
    id uuid DEFAULT uuidv7() NOT NULL,
    school_id uuid NOT NULL,
    entity text NOT NULL,
    entity_id uuid NOT NULL,
    action text NOT NULL,
    actor text NOT NULL,
    database_role text DEFAULT SESSION_USER NOT NULL,
    request_id text,
    row_before jsonb,
    row_after jsonb,
    "position" bigint,
    hash bytea,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT audit_log_action_known CHECK (is_audited_action(action)),
    CONSTRAINT audit_log_sealed_whole CHECK ((("position" IS NULL) = (hash IS NULL)))
);

CREATE FUNCTION audit_digest(entry audit_log) RETURNS bytea
    LANGUAGE sql STABLE
    RETURN audit_digest((entry).id, (entry).school_id, (entry).entity, (entry).entity_id, (entry).action, (entry).actor, (entry).database_role, (entry).request_id, (entry).created_at, (entry).row_before, (entry).row_after);

CREATE FUNCTION audit_link(previous bytea, tip bytea, digest bytea) RETURNS bytea
    LANGUAGE sql IMMUTABLE
    RETURN sha256((COALESCE(previous, tip, '\x'::bytea) || digest));

CREATE FUNCTION bill_late_fees(school uuid, plan uuid, of_version integer, due_dates date[], issue_day date, of_group text, of_students uuid[]) RETURNS TABLE(student_id uuid, verdict text, reason text, sibling_rank integer, items_total numeric, discounts_total numeric, total_amount numeric, lines jsonb, invoices jsonb)
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    SET enable_nestloop TO 'off'
    AS $$
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
  $$;

CREATE FUNCTION bill_run(of_kind text, school uuid, plan uuid, of_version integer, of_period text, due_dates date[], issue_day date, of_group text, of_students uuid[]) RETURNS TABLE(student_id uuid, verdict text, reason text, sibling_rank integer, items_total numeric, discounts_total numeric, total_amount numeric, lines jsonb, invoices jsonb)
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
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
  $$;

CREATE FUNCTION bill_students(school uuid, plan uuid, of_version integer, of_period text, due_dates date[], issue_day date, of_group text, of_students uuid[]) RETURNS TABLE(student_id uuid, verdict text, reason text, sibling_rank integer, items_total numeric, discounts_total numeric, total_amount numeric, lines jsonb, invoices jsonb)
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
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
  $$;

CREATE FUNCTION check_invoice_of_run() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $_$
    declare
      run record;
    begin
      select
        committed_at = now() or committed_at is not null and billing_runs.xmin = pg_current_xact_id()::xid
          as is_committed_now,
        number_year, first_number, invoices_count, invoice_prefix
      into run
      from billing_runs
      join schools on schools.id = billing_runs.school_id
      where billing_runs.id = new.billing_run_id and billing_runs.school_id = new.school_id;
      if run.is_committed_now is distinct from true
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
                constraint = 'invoices_of_runs_come_with_the_commit', hint = 'invoices_of_runs_come_with_the_commit',
                table = 'invoices';
      end if;
      return new;
    end
  $_$;

CREATE FUNCTION claim_idempotency_key(claimed_scope text, claimed_key text) RETURNS boolean
    LANGUAGE plpgsql STRICT
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      if not pg_try_advisory_xact_lock(hashtextextended(claimed_key, hashtextextended(claimed_scope, 0))) then
        raise exception 'a request with this key is in flight'
          using errcode = 'integrity_constraint_violation', constraint = 'idempotency_key_in_flight', hint = 'idempotency_key_in_flight';
      end if;
      -- With the lock, this sees the key of an earlier request.
      if exists (
        select from idempotency_keys
        where scope = claimed_scope and key = claimed_key and created_at >= now() - interval '24 hours'
      ) then
        raise exception 'this key was used'
          using errcode = 'unique_violation', constraint = 'idempotency_keys_pkey', hint = 'idempotency_keys_pkey', table = 'idempotency_keys';
      end if;
      return true;
    end
  $$;

CREATE FUNCTION close_period() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    declare
      zone text;
      last record;
    begin
      -- Writes hold this lock shared. With it, each of them is committed and in the figures, or waits and is refused.
      -- Every statement here sees what was committed before it began, so the lock comes first.
      perform pg_advisory_xact_lock(uuid_hash_extended(new.school_id, 0));
      select time_zone into zone from schools where id = new.school_id;
      if not found then
        return new;  -- A closing of no school has no moments, and they are not null.
      end if;
      select id, through, closes_at into last
      from closings
      where school_id = new.school_id and reopened_at is null
      order by through desc
      limit 1;
      new.closes_at := end_of_day(new.through, zone);
      if last.through >= new.through or last.closes_at >= new.closes_at then
        raise exception 'school % is closed through %', new.school_id, last.through
          using errcode = 'integrity_constraint_violation',
                constraint = 'closings_go_forward', hint = 'closings_go_forward',
                table = 'closings',
                detail = json_build_object(
                  'closing_id', last.id, 'through', last.through, 'earliest_open_date', first_open_day(last.closes_at, zone)
                );
      end if;
      if new.closes_at >= now() then
        raise exception '% is not over in %', new.through, zone
          using errcode = 'integrity_constraint_violation', constraint = 'closings_day_is_over', hint = 'closings_day_is_over', table = 'closings';
      end if;
      new.starts_on := last.through + 1;
      new.opens_at := coalesce(last.closes_at + interval '1 microsecond', '-infinity');
      select
        opening_balance, invoiced, credited, discounted, written_off, received, refunded, voided, closing_balance,
        bucket_0, bucket_1, bucket_2, bucket_3, bucket_4, unallocated
      into
        new.opening_balance, new.invoiced, new.credited, new.discounted, new.written_off, new.received, new.refunded,
        new.voided, new.closing_balance, new.bucket_0, new.bucket_1, new.bucket_2, new.bucket_3, new.bucket_4,
        new.unallocated
      from roll_forward_of(new.school_id, new.opens_at, new.closes_at, new.through);
      select position, hash into new.audit_position, new.audit_hash
      from audit_log
      where school_id = new.school_id and position is not null
      order by position desc
      limit 1;
      return new;
    end
  $$;

CREATE FUNCTION comes_with_its_invoice(line uuid, invoice uuid, school uuid) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
    declare
      made record;
    begin
      select xmin, cmin into made from invoices where id = invoice and school_id = school;
      return exists (
        select 1
        from invoice_lines
        where id = line and school_id = school and xmin = made.xmin and cmin = made.cmin
      );
    end
  $$;

CREATE FUNCTION count_attempt(counter bytea, most integer, window_seconds integer, of_account bytea) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      insert into login_throttles as throttle (bucket, attempts, window_ends_at, account)
      values (counter, 1, now() + make_interval(secs => window_seconds), of_account)
      on conflict on constraint login_throttles_pkey do update
      set attempts = case when throttle.window_ends_at <= now() then 1 else throttle.attempts + 1 end,
          window_ends_at = case
            when throttle.window_ends_at <= now() then excluded.window_ends_at
            else throttle.window_ends_at
          end
      where throttle.window_ends_at <= now() or throttle.attempts < most;
      if found then
        return null;
      end if;
      return (
        select greatest(1, ceil(extract(epoch from window_ends_at - now())))
        from login_throttles
        where bucket = counter
      );
    end
  $$;

CREATE FUNCTION counts_from(dated_at timestamp with time zone, issued_at timestamp with time zone, voided_at timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN GREATEST(LEAST(dated_at, voided_at), issued_at);

CREATE FUNCTION creditor_reference(number bigint) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (('RF'::text || lpad(((98 - mod(((number * 1000000) + 271500), (97)::bigint)))::text, 2, '0'::text)) || lpad((number)::text, 12, '0'::text));

CREATE FUNCTION currency_decimals(currency text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (currency = ANY (ARRAY['BIF'::text, 'CLP'::text, 'DJF'::text, 'GNF'::text, 'ISK'::text, 'JPY'::text, 'KMF'::text, 'KRW'::text, 'PYG'::text, 'RWF'::text, 'UGX'::text, 'UYI'::text, 'VND'::text, 'VUV'::text, 'XAF'::text, 'XOF'::text, 'XPF'::text])) THEN 0 WHEN (currency = ANY (ARRAY['BHD'::text, 'IQD'::text, 'JOD'::text, 'KWD'::text, 'LYD'::text, 'OMR'::text, 'TND'::text])) THEN 3 WHEN (currency = ANY (ARRAY['CLF'::text, 'UYW'::text])) THEN 4 WHEN (currency = ANY (ARRAY['XAG'::text, 'XAU'::text, 'XBA'::text, 'XBB'::text, 'XBC'::text, 'XBD'::text, 'XDR'::text, 'XPD'::text, 'XPT'::text, 'XSU'::text, 'XTS'::text, 'XUA'::text, 'XXX'::text])) THEN NULL::integer ELSE 2 END;

CREATE FUNCTION discount_lines(amounts numeric[], item_categories text[], discounts jsonb, decimals integer) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'public', 'pg_temp'
    AS $$
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
  $$;

CREATE FUNCTION document_number(prefix text, series text, year integer, number bigint) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((((prefix || CASE series WHEN 'INVOICE'::text THEN '-'::text WHEN 'CREDIT_NOTE'::text THEN '-C-'::text WHEN 'RECEIPT'::text THEN '-R-'::text ELSE NULL::text END) || (year)::text) || '-'::text) || lpad((number)::text, GREATEST(6, char_length((number)::text)), '0'::text));

CREATE FUNCTION start_of_day(day date, time_zone text) RETURNS timestamp with time zone
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN LEAST(((day)::timestamp without time zone AT TIME ZONE time_zone), ((((day)::timestamp without time zone - '00:00:00.000001'::interval) AT TIME ZONE time_zone) + '00:00:00.000001'::interval));

CREATE FUNCTION end_of_day(day date, time_zone text) RETURNS timestamp with time zone
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (start_of_day((day + 1), time_zone) - '00:00:00.000001'::interval);

CREATE FUNCTION first_id_of(day date) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((lpad(to_hex(((GREATEST(EXTRACT(epoch FROM ((day)::timestamp without time zone AT TIME ZONE 'UTC'::text)), (0)::numeric))::bigint * 1000)), 12, '0'::text) || repeat('0'::text, 20)))::uuid;

CREATE FUNCTION first_open_day(closed_until timestamp with time zone, time_zone text) RETURNS date
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (((closed_until AT TIME ZONE time_zone))::date + CASE WHEN (start_of_day(((closed_until AT TIME ZONE time_zone))::date, time_zone) > closed_until) THEN 0 ELSE 1 END);

CREATE FUNCTION instalment_of(amount numeric, instalment bigint, instalments integer, decimals integer) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (trunc((amount / (instalments)::numeric), decimals) + (CASE decimals WHEN 0 THEN (1)::numeric ELSE 0.01 END * (CASE WHEN (((instalment)::numeric * CASE decimals WHEN 0 THEN (1)::numeric ELSE 0.01 END) <= (amount - ((instalments)::numeric * trunc((amount / (instalments)::numeric), decimals)))) THEN 1 ELSE 0 END)::numeric));

CREATE FUNCTION instant_text(instant timestamp with time zone) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN to_char((instant AT TIME ZONE 'UTC'::text), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'::text);

CREATE FUNCTION invoice_status(is_void boolean, paid_total numeric, total_amount numeric) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN is_void THEN 'VOID'::text WHEN (paid_total <= (0)::numeric) THEN 'PENDING'::text WHEN (paid_total < total_amount) THEN 'PARTIAL'::text ELSE 'PAID'::text END;

CREATE FUNCTION invoice_status(is_void boolean, paid_total numeric, total_amount numeric, credited numeric, written_off numeric) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN is_void THEN 'VOID'::text WHEN (((paid_total + credited) + written_off) < total_amount) THEN CASE WHEN (paid_total <= (0)::numeric) THEN 'PENDING'::text ELSE 'PARTIAL'::text END WHEN (written_off > (0)::numeric) THEN 'WRITTEN_OFF'::text WHEN (paid_total <= (0)::numeric) THEN 'CREDITED'::text ELSE 'PAID'::text END;

CREATE FUNCTION is_ascending(days date[]) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT (bool_and((pairs.day > pairs.before)) IS NOT FALSE) FROM (SELECT given.day, lag(given.day) OVER (ORDER BY given.place) AS before FROM unnest(is_ascending.days) WITH ORDINALITY given(day, place)) pairs);

CREATE FUNCTION is_method(value text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    begin
      return is_plain_line(value, 50) and value = lower(value) and value !~ '[\s-]';
    end
  $$;

CREATE FUNCTION is_plain_line(value text, most integer) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    begin
      return is_plain_text(value, most) and position(E'\n' in value) = 0;
    end
  $$;

CREATE FUNCTION is_plain_text(value text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    AS $_$
    begin
      return value !~ (
        '[\u0001-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u200b\u200e\u200f\u2028-\u202e'
        '\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a'
        '\U000e0000-\U000e00ff]'
        '|(?<![\u0590-\u1fff\u2070-\U0010ffff])[\u200c\u200d]|[\u200c\u200d](?![\u0590-\u1fff\u2070-\U0010ffff])'
        '|^[\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]|^\s|\s$'
      );
    end
  $_$;

CREATE FUNCTION is_plain_text(value text, most integer) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    begin
      return char_length(value) between 1 and most and is_plain_text(value);
    end
  $$;

CREATE FUNCTION keep_an_administrator() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      -- Two administrators who disable each other queue here, and the second sees what the first did.
      perform pg_advisory_xact_lock(7404031550207116802);
      if not exists (
        select from users
        where role = 'admin' and school_id is null and disabled_at is null and id <> old.id
      ) then
        raise exception 'user % is the last administrator', old.id
          using errcode = 'integrity_constraint_violation',
                constraint = 'users_one_administrator_stays', hint = 'users_one_administrator_stays',
                table = 'users';
      end if;
      return coalesce(new, old);
    end
  $$;

CREATE FUNCTION keep_audit_log() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      if tg_op = 'INSERT' then
        new.id := uuidv7();
        new.position := null;
        new.hash := null;
        new.database_role := session_user;
        new.created_at := clock_timestamp();
        return new;
      end if;
      if tg_op = 'UPDATE' and old.hash is null and new.hash is not null
         and to_jsonb(new) - array['position', 'hash', 'updated_at'] = to_jsonb(old) - array['position', 'hash', 'updated_at']
      then
        return new;
      end if;
      raise exception 'the audit trail is only ever added to'
        using errcode = 'integrity_constraint_violation', constraint = 'audit_log_append_only', hint = 'audit_log_append_only', table = 'audit_log';
    end
  $$;

CREATE FUNCTION keep_closing() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      if tg_op = 'DELETE' or old.reopened_at is not null or new.reopened_at is null
         or to_jsonb(new) - array['reopened_at', 'reopen_reason', 'updated_at']
            <> to_jsonb(old) - array['reopened_at', 'reopen_reason', 'updated_at']
      then
        raise exception 'closing % stays as it is', old.id
          using errcode = 'integrity_constraint_violation', constraint = 'closings_are_fixed', hint = 'closings_are_fixed', table = 'closings';
      end if;
      perform pg_advisory_xact_lock(uuid_hash_extended(old.school_id, 0));
      if exists (
        select 1 from closings where school_id = old.school_id and reopened_at is null and through > old.through
      ) then
        raise exception 'closing % has a later one', old.id
          using errcode = 'integrity_constraint_violation',
                constraint = 'closings_reopen_the_latest', hint = 'closings_reopen_the_latest',
                table = 'closings';
      end if;
      return new;
    end
  $$;

CREATE FUNCTION keep_counter() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    begin
      raise exception 'only a new document changes a counter'
        using errcode = 'integrity_constraint_violation',
              constraint = 'document_numbers_follow_counters', hint = 'document_numbers_follow_counters',
              table = tg_table_name;
    end
  $$;

CREATE FUNCTION keep_currency() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      perform 1 from schools where id = old.id for update;
      perform 1 from students where school_id = old.id order by id for update;
      if exists (select 1 from invoices where school_id = old.id)
         or exists (select 1 from receipts where school_id = old.id)
         or exists (select 1 from fee_plans where school_id = old.id)
         or exists (select 1 from awards where school_id = old.id)
      then
        raise exception 'school % has amounts in %', old.id, old.currency
          using errcode = 'integrity_constraint_violation', constraint = 'schools_currency_is_fixed', hint = 'schools_currency_is_fixed', table = 'schools';
      end if;
      return new;
    end
  $$;

CREATE FUNCTION keep_invoice_prefix() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      perform 1 from schools where id = old.id for update;
      if exists (select 1 from document_counters where school_id = old.id) then
        raise exception 'school % has documents whose numbers begin with %', old.id, old.invoice_prefix
          using errcode = 'integrity_constraint_violation',
                constraint = 'schools_invoice_prefix_is_fixed', hint = 'schools_invoice_prefix_is_fixed',
                table = 'schools';
      end if;
      return new;
    end
  $$;

CREATE FUNCTION keep_issue_before_allocations() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      if exists (
        select 1
        from payments
        where invoice_id = new.id and school_id = new.school_id and receipt_id is not null and paid_at < new.issued_at
      ) then
        raise exception 'money was allocated to invoice % before %', new.id, new.issued_at
          using errcode = 'integrity_constraint_violation',
                constraint = 'invoices_issued_before_allocations', hint = 'invoices_issued_before_allocations',
                table = 'invoices';
      end if;
      if exists (
        select 1
        from adjustments
        where invoice_id = new.id and school_id = new.school_id and adjusted_at < new.issued_at
      ) then
        raise exception 'invoice % was adjusted before %', new.id, new.issued_at
          using errcode = 'integrity_constraint_violation',
                constraint = 'invoices_issued_before_adjustments', hint = 'invoices_issued_before_adjustments',
                table = 'invoices';
      end if;
      return null;
    end
  $$;

CREATE FUNCTION keep_kind() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    begin
      raise exception 'payment % stays a %', new.id, old.kind
        using errcode = 'integrity_constraint_violation', constraint = 'payments_kind_is_fixed', hint = 'payments_kind_is_fixed', table = 'payments';
    end
  $$;

CREATE FUNCTION keep_school() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    begin
      raise exception '% stay in their school', tg_table_name
        using errcode = 'integrity_constraint_violation', constraint = 'school_id_is_fixed', hint = 'school_id_is_fixed', table = tg_table_name;
    end
  $$;

CREATE FUNCTION last_movement_of(receipt uuid, school uuid) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      return greatest(
        (select received_at from receipts where id = receipt and school_id = school),
        (select max(paid_at) from payments where receipt_id = receipt and payments.school_id = school),
        (select max(refunded_at) from receipt_refunds where receipt_id = receipt and receipt_refunds.school_id = school)
      );
    end
  $$;

CREATE FUNCTION last_payment_of(invoice uuid, school uuid) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      return least(
        greatest(
          (select max(paid_at) from payments where invoice_id = invoice and school_id = school),
          (select max(adjusted_at) from adjustments where invoice_id = invoice and school_id = school)
        ),
        now()
      );
    end
  $$;

CREATE FUNCTION last_standing_payment_of(invoice uuid, school uuid) RETURNS timestamp with time zone
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      return (
        select max(paid_at)
        from payments
        where invoice_id = invoice and school_id = school and kind = 'PAYMENT'
          and not exists (
            select 1 from payments as later where later.reverses_id = payments.id and later.school_id = payments.school_id
          )
      );
    end
  $$;

CREATE FUNCTION lines_of_adjustment(adjustment uuid, school uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      return (
        select coalesce(jsonb_agg(to_jsonb(line) order by line.position), '[]')
        from adjustment_lines
        cross join lateral (select position, description, category, amount) as line
        where adjustment_id = adjustment and school_id = school
      );
    end
  $$;

CREATE FUNCTION lines_of_invoice(invoice uuid, school uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      return (
        select coalesce(jsonb_agg(to_jsonb(line) order by line.position), '[]')
        from invoice_lines
        cross join lateral (select position, description, category, amount) as line
        where invoice_id = invoice and school_id = school
      );
    end
  $$;

CREATE FUNCTION lines_of_locked_invoice(invoice uuid, school uuid) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      return lines_of_invoice(invoice, school);
    end
  $$;

CREATE FUNCTION lines_of_locked_plan(plan uuid, school uuid, of_version integer) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      return lines_of_plan(plan, school, of_version, false) || lines_of_plan(plan, school, of_version, true);
    end
  $$;

CREATE FUNCTION lines_of_plan(plan uuid, school uuid, of_version integer, of_rules boolean) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
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
  $$;

CREATE FUNCTION move_adjusted_totals() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    declare
      change numeric := case when new.reverses_id is null then new.amount else -new.amount end;
      -- Only settle_early_discount adds a discount from within a trigger.
      is_early boolean := new.kind = 'DISCOUNT' and new.reverses_id is null and pg_trigger_depth() > 1;
      earliest timestamptz;
    begin
      update invoices
      set credited_total = credited_total + case when new.kind = 'CREDIT_NOTE' then change else 0 end,
          discounted_total = discounted_total + case when new.kind = 'DISCOUNT' then change else 0 end,
          written_off_total = written_off_total + case when new.kind = 'WRITE_OFF' then change else 0 end,
          reversals_total = reversals_total + greatest(-change, 0),
          early_adjustment_id = case when is_early then new.id else nullif(early_adjustment_id, new.reverses_id) end
      where id = new.invoice_id and school_id = new.school_id
      returning issued_at into earliest;
      if new.reverses_id is not null then
        select adjusted_at into earliest
        from adjustments
        where id = new.reverses_id and school_id = new.school_id and reverses_id is null
          and (invoice_id, kind, amount) = (new.invoice_id, new.kind, new.amount);
        if not found then
          raise exception 'adjustment % takes back another one than %', new.id, new.reverses_id
            using errcode = 'integrity_constraint_violation',
                  constraint = 'adjustments_reverse_a_whole_adjustment', hint = 'adjustments_reverse_a_whole_adjustment',
                  table = 'adjustments';
        end if;
      end if;
      if new.adjusted_at < earliest then
        raise exception 'adjustment % is dated %, before %', new.id, new.adjusted_at, earliest
          using errcode = 'integrity_constraint_violation',
                constraint = 'adjustments_follow_invoice', hint = 'adjustments_follow_invoice',
                table = 'adjustments';
      end if;
      return null;
    end
  $$;

CREATE FUNCTION move_invoice_totals() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
    declare
      school uuid := coalesce(new.school_id, old.school_id);
      moved uuid[] := array[new.invoice_id, old.invoice_id];
      is_counted boolean := false;
      earliest timestamptz;
      beyond numeric;
    begin
      if new.receipt_id is not null then
        -- All payments of the statement are there when the trigger of the first one runs. It counts them together, and the
        -- other triggers find the totals right: one UPDATE for each payment would take three times as long.
        select
          greatest(received_at, issued_at),
          allocated_total = (
            select sum(case kind when 'PAYMENT' then amount else -amount end)
            from payments
            where receipt_id = new.receipt_id and payments.school_id = school
          )
          and payments_total + refunds_total = (
            select sum(amount) from payments where invoice_id = new.invoice_id and payments.school_id = school
          )
        into earliest, is_counted
        from receipts
        join invoices on invoices.id = new.invoice_id and invoices.school_id = receipts.school_id
        where receipts.id = new.receipt_id and receipts.school_id = school;
        if not is_counted then
          perform 1 from receipts where id = new.receipt_id and school_id = school for no key update;
          moved := array(
            select invoice_id
            from payments
            where receipt_id = new.receipt_id and school_id = school and created_at = new.created_at
          );
        end if;
      end if;
      if not is_counted then
        -- The invoices are locked before the sums are read, so that these have what others paid, and in the order of their
        -- ids, so that two statements do not deadlock.
        perform 1 from invoices where id = any(moved) and school_id = school order by id for no key update;
        update invoices
        set (payments_total, refunds_total) = (
              select
                coalesce(sum(amount) filter (where kind = 'PAYMENT'), 0),
                coalesce(sum(amount) filter (where kind = 'REFUND'), 0)
              from payments
              where invoice_id = invoices.id and payments.school_id = school
            )
        where id = any(moved) and school_id = school;
        -- A new receipt has its total already.
        if new.receipt_id is not null then
          update receipts
          set allocated_total = allocated.total
          from (
            select sum(case kind when 'PAYMENT' then amount else -amount end) as total
            from payments
            where receipt_id = new.receipt_id and payments.school_id = school
          ) as allocated
          where id = new.receipt_id and school_id = school and allocated_total <> allocated.total;
        end if;
      end if;
      if coalesce(new.receipt_id, old.receipt_id) is null and (tg_op <> 'INSERT' or new.kind = 'REFUND') then
        -- Otherwise the receipt could not be reversed any more.
        select sum(case kind when 'REFUND' then amount else -amount end) into beyond
        from payments
        where invoice_id = any(moved) and school_id = school and receipt_id is null
        group by invoice_id
        order by 1 desc
        limit 1;
        if beyond > 0 then
          raise exception 'payment % refunds money of receipts', coalesce(new.id, old.id)
            using errcode = 'integrity_constraint_violation',
                  constraint = 'payments_refund_no_money_of_receipts', hint = 'payments_refund_no_money_of_receipts',
                  table = 'payments',
                  detail = json_build_object('beyond', amount_text(beyond));
        end if;
      end if;
      if new.kind = 'REFUND' and new.receipt_id is not null then
        select paid_at into earliest
        from payments
        where id = new.reverses_id and school_id = school and kind = 'PAYMENT'
          and (receipt_id, invoice_id, amount) = (new.receipt_id, new.invoice_id, new.amount);
        if not found then
          raise exception 'payment % takes back another allocation than %', new.id, new.reverses_id
            using errcode = 'integrity_constraint_violation',
                  constraint = 'payments_take_back_a_whole_allocation', hint = 'payments_take_back_a_whole_allocation',
                  table = 'payments';
        end if;
      end if;
      if new.paid_at < earliest then
        raise exception 'payment % is dated %, before %', new.id, new.paid_at, earliest
          using errcode = 'integrity_constraint_violation',
                constraint = 'payments_follow_receipt_and_invoice', hint = 'payments_follow_receipt_and_invoice',
                table = 'payments';
      end if;
      return null;
    end
  $$;

CREATE FUNCTION move_receipt_refunds() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    declare
      moved_at timestamptz;
    begin
      update receipts
      set refunded_total = refunded_total + new.amount
      where id = new.receipt_id and school_id = new.school_id;
      moved_at := last_movement_of(new.receipt_id, new.school_id);
      -- A refund of now may have waited for a movement that is a moment younger.
      if new.refunded_at < least(moved_at, now()) then
        raise exception 'receipt % changed at %, after %', new.receipt_id, moved_at, new.refunded_at
          using errcode = 'integrity_constraint_violation',
                constraint = 'receipts_move_in_order', hint = 'receipts_move_in_order',
                table = 'receipt_refunds',
                detail = json_build_object('moved_at', instant_text(moved_at));
      end if;
      return null;
    end
  $$;

CREATE FUNCTION movements_of_locked_receipt(receipt uuid, school uuid, OUT allocations jsonb, OUT refunds jsonb) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      select allocations_of_receipt(receipt, school), refunds_of_receipt(receipt, school) into allocations, refunds;
    end
  $$;

CREATE FUNCTION number_document() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      if new.number is not null then
        raise exception 'the number of % % is given by the database', tg_table_name, new.id
          using errcode = 'integrity_constraint_violation',
                constraint = 'document_numbers_follow_counters', hint = 'document_numbers_follow_counters',
                table = tg_table_name;
      end if;
      new.number := take_number(new.school_id, tg_argv[0], now());
      return new;
    end
  $$;

CREATE FUNCTION number_run() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      select year, first_number into new.number_year, new.first_number
      from take_numbers(new.school_id, 'INVOICE', now(), new.invoices_count);
      return new;
    end
  $$;

CREATE FUNCTION open_receipts_of(school uuid, received_until timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      return (
        select coalesce(jsonb_agg(to_jsonb(receipt) order by received_at, id), '[]')
        from (
          select id, payer_id, payer_name, amount, unallocated, received_at
          from receipts
          where school_id = school and received_at <= received_until and unallocated > 0
          order by received_at, id
          limit 100
        ) as receipt
      );
    end
  $$;

CREATE FUNCTION open_runs_of(school uuid, issued_until timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      return (
        select coalesce(jsonb_agg(to_jsonb(run) order by id), '[]')
        from (
          select id, fee_plan_id as plan_id, period, issued_at, total_amount, invoices_count
          from billing_runs
          where school_id = school and issued_at <= issued_until and status = 'PREVIEW'
          order by id desc
          limit 100
        ) as run
      );
    end
  $$;

CREATE FUNCTION passes_mod_97(code text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (SELECT (mod((string_agg(CASE WHEN (ascii(signs.sign) >= 65) THEN ((ascii(signs.sign) - 55))::text ELSE signs.sign END, ''::text ORDER BY signs.place))::numeric, (97)::numeric) = (1)::numeric) FROM string_to_table((substr(passes_mod_97.code, 5) || "left"(passes_mod_97.code, 4)), NULL::text) WITH ORDINALITY signs(sign, place));

CREATE FUNCTION payment_reference(payer_id uuid) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN creditor_reference(mod(((('x'::text || "right"((payer_id)::text, 12)))::bit(48))::bigint, '1000000000000'::bigint));

CREATE FUNCTION plan_for_these_values() RETURNS boolean
    LANGUAGE plpgsql COST 1e+09
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    begin
      return true;
    end
  $$;

CREATE FUNCTION refunds_of_receipt(receipt uuid, school uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      return (
        select coalesce(jsonb_agg(to_jsonb(refund) order by refund.refunded_at, refund.id), '[]')
        from receipt_refunds
        cross join lateral (select id, amount, method, reference, reason, refunded_at) as refund
        where receipt_id = receipt and school_id = school
      );
    end
  $$;

CREATE FUNCTION refuse_because_adjusted() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    declare
      adjustment uuid := (
        select id
        from adjustments
        where invoice_id = new.id and school_id = new.school_id and reverses_id is null
          and (tg_nargs = 1 or kind = tg_argv[1])
          and not exists (
            select 1
            from adjustments as later
            where later.reverses_id = adjustments.id and later.school_id = adjustments.school_id
          )
        order by id desc
        limit 1
      );
    begin
      raise exception 'invoice % has adjustment %', new.id, adjustment
        using errcode = 'integrity_constraint_violation',
              constraint = tg_argv[0], hint = tg_argv[0],
              table = 'invoices',
              detail = json_build_object('adjustment_id', adjustment);
    end
  $$;

CREATE FUNCTION refuse_cents() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    declare
      school_currency text := (select currency from schools where id = new.school_id);
    begin
      if currency_decimals(school_currency) = 0 then
        raise exception '% has no cents', school_currency
          using errcode = 'integrity_constraint_violation',
                constraint = 'amounts_fit_the_currency', hint = 'amounts_fit_the_currency',
                table = tg_table_name,
                detail = json_build_object('currency', school_currency);
      end if;
      return null;
    end
  $$;

CREATE FUNCTION refuse_change_of_movement() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    begin
      raise exception '% of % stays as it is', tg_table_name, old.id
        using errcode = 'integrity_constraint_violation', constraint = tg_argv[0], hint = tg_argv[0], table = tg_table_name;
    end
  $$;

CREATE FUNCTION refuse_closed_period() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    declare
      school uuid := coalesce(new.school_id, old.school_id);
      locked text;
      closed_until timestamptz;
      dated_at timestamptz;
    begin
      case tg_argv[0]
        when 'paid_at' then dated_at := least(old.paid_at, new.paid_at);
        when 'issued_at' then dated_at := least(old.issued_at, new.issued_at);
        when 'received_at' then dated_at := least(old.received_at, new.received_at);
        when 'voided_at' then dated_at := least(old.voided_at, new.voided_at);
        when 'reversed_at' then dated_at := least(old.reversed_at, new.reversed_at);
        when 'refunded_at' then dated_at := least(old.refunded_at, new.refunded_at);
        when 'adjusted_at' then dated_at := least(old.adjusted_at, new.adjusted_at);
      end case;
      -- A closing waits for this transaction, and this for a closing that is under way. Only then look.
      locked := pg_advisory_xact_lock_shared(uuid_hash_extended(school, 0));
      -- What is dated now needs no look: a closed day was over, and in every zone days end with a quarter of an hour. So none
      -- has ended since the last quarter began.
      if dated_at < date_bin('15 minutes', clock_timestamp(), '2000-01-01Z') then
        select closes_at into closed_until
        from closings
        where school_id = school and reopened_at is null
        order by through desc
        limit 1;
        if dated_at <= closed_until then
          raise exception '% of % lies in a closed period', tg_argv[0], tg_table_name
            using errcode = 'integrity_constraint_violation',
                  constraint = 'closed_periods_stay', hint = 'closed_periods_stay',
                  table = tg_table_name,
                  detail = json_build_object(
                    'earliest_open_date',
                    first_open_day(closed_until, (select time_zone from schools where id = school))
                  );
        end if;
      end if;
      if tg_op = 'DELETE' then
        return old;
      end if;
      return new;
    end
  $$;

CREATE FUNCTION refuse_handwritten_total() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    begin
      raise exception 'the totals of % % follow from its movements', tg_table_name, new.id
        using errcode = 'integrity_constraint_violation',
              constraint = coalesce(tg_argv[0], 'invoices_totals_follow_payments'), hint = coalesce(tg_argv[0], 'invoices_totals_follow_payments'),
              table = tg_table_name;
    end
  $$;

CREATE FUNCTION refuse_impossible_balance() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    declare
      invoice record;
      wrong record;
      facts jsonb;
    begin
      if tg_table_name like 'payments%' then
        -- Two changes of dates, each possible without the other, wait for each other here.
        select id, school_id, total_amount, refunds_total, reversals_total into invoice
        from invoices
        where id = new.invoice_id and school_id = new.school_id
        for no key update;
        if invoice.refunds_total = 0 and invoice.reversals_total = 0 then
          return null;
        end if;
      else
        invoice := new;
      end if;
      select happened_at, balance, refunded_beyond into wrong
      from (
        select
          happened_at, sum(change) over until_then as balance,
          sum(change) filter (where kind in ('PAYMENT', 'REFUND')) over until_then as refunded_beyond
        from account_entries
        where invoice_id = invoice.id and school_id = invoice.school_id
        window until_then as (order by happened_at)
      ) as balances
      where balance < 0 or refunded_beyond > 0
      order by happened_at
      limit 1;
      if not found then
        return null;
      end if;
      select
        jsonb_build_object(
          'date', (wrong.happened_at at time zone time_zone)::date,
          'total_amount', amount_text(invoice.total_amount),
          'balance_due', amount_text(wrong.balance)
        )
      into facts
      from schools
      where id = invoice.school_id;
      if wrong.balance < 0 then
        raise exception 'more than the total of invoice % would be paid at %', invoice.id, wrong.happened_at
          using errcode = 'integrity_constraint_violation',
                constraint = 'invoices_paid_at_most_total_on_every_day', hint = 'invoices_paid_at_most_total_on_every_day',
                table = 'invoices',
                detail = facts;
      end if;
      raise exception 'more would be refunded than paid on invoice % at %', invoice.id, wrong.happened_at
        using errcode = 'integrity_constraint_violation',
              constraint = 'invoices_refunded_at_most_paid_on_every_day', hint = 'invoices_refunded_at_most_paid_on_every_day',
              table = 'invoices',
              detail = facts || jsonb_build_object('beyond', amount_text(wrong.refunded_beyond));
    end
  $$;

CREATE FUNCTION refuse_other_adjustment_lines() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    declare
      adjustment record;
      lines_sum numeric;
    begin
      select amount, created_at into adjustment
      from adjustments
      where id = new.adjustment_id and school_id = new.school_id;
      select sum(amount) into lines_sum
      from adjustment_lines
      where adjustment_id = new.adjustment_id and school_id = new.school_id;
      if lines_sum <> adjustment.amount or new.created_at <> adjustment.created_at then
        raise exception 'the lines of adjustment % are made with it and sum to its amount', new.adjustment_id
          using errcode = 'integrity_constraint_violation',
                constraint = 'adjustment_lines_sum_to_amount', hint = 'adjustment_lines_sum_to_amount',
                table = 'adjustment_lines';
      end if;
      return null;
    end
  $$;

CREATE FUNCTION refuse_other_lines() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    declare
      row jsonb := to_jsonb(coalesce(new, old));
      invoice record;
      lines_sum numeric;
    begin
      -- A payment that comes at the same moment waits here, or is seen.
      select id, school_id, total_amount, created_at,
        number is not null or payments_total > 0 or balance_due <> total_amount as is_fixed
      into invoice
      from invoices
      where id = coalesce(row ->> 'invoice_id', row ->> 'id')::uuid and school_id = (row ->> 'school_id')::uuid
      for no key update;
      if not found then
        return null;
      end if;
      if tg_table_name like 'invoice_lines%' and invoice.is_fixed
         and (tg_op = 'DELETE' or (row ->> 'created_at')::timestamptz <> invoice.created_at)
      then
        raise exception 'the lines of invoice % stay', invoice.id
          using errcode = 'integrity_constraint_violation',
                constraint = 'invoice_lines_are_fixed', hint = 'invoice_lines_are_fixed',
                table = 'invoice_lines';
      end if;
      select sum(amount) into lines_sum
      from invoice_lines
      where invoice_id = invoice.id and school_id = invoice.school_id;
      if lines_sum <> invoice.total_amount then
        raise exception 'the lines of invoice % sum to %', invoice.id, lines_sum
          using errcode = 'integrity_constraint_violation',
                constraint = 'invoice_lines_sum_to_total', hint = 'invoice_lines_sum_to_total',
                table = 'invoice_lines';
      end if;
      return null;
    end
  $$;

CREATE FUNCTION refuse_partial_shares() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    declare
      changed_student uuid := coalesce(new.student_id, old.student_id);
      changed_school uuid := coalesce(new.school_id, old.school_id);
      shares numeric;
    begin
      perform 1 from students where id = changed_student and school_id = changed_school for no key update;
      select sum(share) into shares
      from student_payers
      where student_id = changed_student and school_id = changed_school;
      if shares <> 100 then
        raise exception 'the shares of student % sum to %', changed_student, shares
          using errcode = 'integrity_constraint_violation',
                constraint = 'student_payers_sum_to_100', hint = 'student_payers_sum_to_100',
                table = 'student_payers';
      end if;
      return null;
    end
  $$;

CREATE FUNCTION refuse_spent_reversal() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    declare
      moved_at timestamptz := last_movement_of(new.id, new.school_id);
    begin
      if exists (select 1 from receipts where id = new.id and school_id = new.school_id and allocated_total > 0) then
        raise exception 'receipt % is reversed and pays nothing', new.id
          using errcode = 'integrity_constraint_violation',
                constraint = 'receipts_none_allocated_when_reversed', hint = 'receipts_none_allocated_when_reversed',
                table = 'receipts';
      end if;
      if new.reversed_at < moved_at and new.reversed_at < now() then
        raise exception 'receipt % changed at %, after %', new.id, moved_at, new.reversed_at
          using errcode = 'integrity_constraint_violation',
                constraint = 'receipts_move_in_order', hint = 'receipts_move_in_order',
                table = 'receipts',
                detail = json_build_object('moved_at', instant_text(moved_at));
      end if;
      return null;
    end
  $$;

CREATE FUNCTION refuse_truncate() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    begin
      raise exception 'the rows of % are deleted one by one, so that the audit trail sees it', tg_table_name
        using errcode = 'integrity_constraint_violation', constraint = 'audited_tables_never_truncated', hint = 'audited_tables_never_truncated';
    end
  $$;

CREATE FUNCTION refuse_unspent_total() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      if new.refunded_total <> 0
         or not exists (select 1 from payments where receipt_id = new.id and payments.school_id = new.school_id)
      then
        raise exception 'the totals of receipt % follow from its movements', new.id
          using errcode = 'integrity_constraint_violation',
                constraint = 'receipts_totals_follow_movements', hint = 'receipts_totals_follow_movements',
                table = 'receipts';
      end if;
      return null;
    end
  $$;

CREATE FUNCTION release_allocations(invoice uuid, school uuid, wanted numeric, dated_at timestamp with time zone, why text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    declare
      needed numeric;
      paid numeric;
      allocated numeric;
    begin
      perform 1 from receipts
      where school_id = school
        and id in (select receipt_id from payments where invoice_id = invoice and school_id = school)
      order by id
      for no key update;
      select wanted - balance_due, paid_total into needed, paid
      from invoices
      where id = invoice and school_id = school
      for no key update;
      if needed > paid then
        return false;  -- More than was billed: the check of the invoice refuses it.
      end if;
      select coalesce(sum(case kind when 'PAYMENT' then amount else -amount end), 0.00) into allocated
      from payments
      where invoice_id = invoice and school_id = school and receipt_id is not null;
      if needed > allocated then
        raise exception '% of invoice % is paid by no receipt', needed - allocated, invoice
          using errcode = 'integrity_constraint_violation',
                constraint = 'adjustments_release_receipts_only', hint = 'adjustments_release_receipts_only',
                table = 'adjustments',
                detail = json_build_object('paid_by_receipts', amount_text(allocated));
      end if;
      -- In one statement: a check that follows the entries of the invoice sees all of it or nothing.
      -- An allocation for which this transaction waited is a moment younger than its now().
      insert into payments (
        school_id, invoice_id, receipt_id, reverses_id, kind, amount, method, reference, reason, paid_at, updated_at
      )
      select
        school, invoice, receipt_id, case part.kind when 'REFUND' then id end, part.kind, part.amount, method, reference,
        case part.kind when 'REFUND' then why end, greatest(dated_at, paid_at), greatest(now(), paid_at)
      from (
        select
          id, receipt_id, amount, method, reference, paid_at,
          needed - coalesce(
            sum(amount) over (order by paid_at desc, id desc rows between unbounded preceding and 1 preceding), 0
          ) as still_needed
        from payments
        where invoice_id = invoice and school_id = school and receipt_id is not null and kind = 'PAYMENT'
          and not exists (
            select 1
            from payments as later
            where later.reverses_id = payments.id and later.school_id = payments.school_id
          )
      ) as youngest
      cross join lateral (values ('REFUND', amount), ('PAYMENT', amount - still_needed)) as part (kind, amount)
      where still_needed > 0 and part.amount > 0
      order by part.kind desc, paid_at, id;
      return true;
    end
  $$;

CREATE FUNCTION remember_answer(claimed_scope text, claimed_key text, claimed_fingerprint bytea, given_answer jsonb) RETURNS boolean
    LANGUAGE plpgsql STRICT
    SET search_path TO 'public', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
    begin
      delete from idempotency_keys
      where (scope, key) in (
        select scope, key
        from idempotency_keys
        where created_at < now() - interval '24 hours'
        order by created_at
        limit 10
        for update skip locked
      );
      insert into idempotency_keys (scope, key, fingerprint, answer)
      values (claimed_scope, claimed_key, claimed_fingerprint, given_answer)
      -- A key that is still here has expired.
      on conflict on constraint idempotency_keys_pkey do update
      set fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at;
      return true;
    end
  $$;

CREATE FUNCTION roll_forward_of(school uuid, opens_at timestamp with time zone, closes_at timestamp with time zone, closes_on date) RETURNS TABLE(opening_balance numeric, invoiced numeric, credited numeric, discounted numeric, written_off numeric, received numeric, refunded numeric, voided numeric, closing_balance numeric, bucket_0 numeric, bucket_1 numeric, bucket_2 numeric, bucket_3 numeric, bucket_4 numeric, unallocated numeric)
    LANGUAGE plpgsql STABLE ROWS 1
    SET search_path TO 'public', 'pg_temp'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
  #variable_conflict use_column
  begin
    return query
    with invoice_entries as materialized (
      select invoice_id, happened_at, kind, change, receipt_id is not null as is_allocation
      from account_entries
      where account_entries.school_id = school
        and issued_at <= closes_at
        and happened_at <= closes_at
    ),
    balances as (
      select invoice_id, sum(change) as balance_due
      from invoice_entries
      group by invoice_id
    ),
    aged as (
      select balances.balance_due, ageing_bucket(closes_on - due_date) as bucket
      from invoices
      -- Each invoice has its sum; an inner join would let the planner look up one invoice after the other.
      left join balances on balances.invoice_id = invoices.id
      where invoices.school_id = school
        and issued_at <= closes_at
      -- OFFSET keeps the planner from computing the bucket again in each filter below.
      offset 0
    ),
    receivables as (
      select
        sum(balance_due) filter (where bucket = 0) as bucket_0, sum(balance_due) filter (where bucket = 1) as bucket_1,
        sum(balance_due) filter (where bucket = 2) as bucket_2, sum(balance_due) filter (where bucket = 3) as bucket_3,
        sum(balance_due) filter (where bucket = 4) as bucket_4
      from aged
    ),
    entries as (
      select
        case when is_allocation then 'ALLOCATION' else kind end as kind, happened_at < opens_at as is_before,
        sum(change) as change, 0.00 as unallocated
      from invoice_entries
      group by kind, is_allocation, is_before
      union all
      select kind, happened_at < opens_at as is_before, -sum(change), sum(change)
      from receipt_entries
      where receipt_entries.school_id = school
        and happened_at <= closes_at
      group by kind, is_before
    ),
    sums as (
      select
        sum(change) filter (where is_before) as opening_balance,
        sum(change) filter (where kind = 'INVOICE' and not is_before) as invoiced,
        -sum(change) filter (where kind in ('CREDIT_NOTE', 'CREDIT_NOTE_REVERSAL') and not is_before) as credited,
        -sum(change) filter (where kind in ('DISCOUNT', 'DISCOUNT_REVERSAL') and not is_before) as discounted,
        -sum(change) filter (where kind in ('WRITE_OFF', 'WRITE_OFF_REVERSAL') and not is_before) as written_off,
        -sum(change) filter (where kind in ('PAYMENT', 'RECEIPT') and not is_before) as received,
        sum(change) filter (where kind in ('REFUND', 'RECEIPT_REFUND', 'RECEIPT_REVERSAL') and not is_before) as refunded,
        -sum(change) filter (where kind = 'VOID' and not is_before) as voided,
        sum(change) as closing_balance,
        sum(unallocated) as unallocated
      from entries
    )
    select
      coalesce(sums.opening_balance, 0.00), coalesce(sums.invoiced, 0.00), coalesce(sums.credited, 0.00),
      coalesce(sums.discounted, 0.00), coalesce(sums.written_off, 0.00), coalesce(sums.received, 0.00),
      coalesce(sums.refunded, 0.00), coalesce(sums.voided, 0.00), coalesce(sums.closing_balance, 0.00),
      coalesce(receivables.bucket_0, 0.00), coalesce(receivables.bucket_1, 0.00), coalesce(receivables.bucket_2, 0.00),
      coalesce(receivables.bucket_3, 0.00), coalesce(receivables.bucket_4, 0.00),
      coalesce(sums.unallocated, 0.00)
    from sums
    cross join receivables;
  end
  $$;

CREATE FUNCTION search_words(value text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN regexp_replace(btrim(regexp_replace(replace(replace(replace(translate(regexp_replace(lower(NORMALIZE(value, NFKD)), '[\u0300-\u036f\u0591-\u05c7\u0640\u064b-\u065f\u0670\u200c\u200d\u0027\u0060\u00b4\u02b9\u02bb\u02bc\u2018\u2019]'::text, ''::text, 'g'::text), 'øłđðħı'::text, 'olddhi'::text), 'ß'::text, 'ss'::text), 'æ'::text, 'ae'::text), 'œ'::text, 'oe'::text), '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u1680\u2000-\u206f\u3000-\u303f]+'::text, ' '::text, 'g'::text), ' '::text), '(\S{50})\S+'::text, '\1'::text, 'g'::text);

CREATE FUNCTION search_query(school_id uuid, value text) RETURNS tsquery
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (CASE WHEN (search_words(value) = ''::text) THEN ''::text ELSE (((COALESCE((('''@'::text || school_id) || ''' & '::text), ''::text) || ''''::text) || replace(search_words(value), ' '::text, ''':* & '''::text)) || ''':*'::text) END)::tsquery;

CREATE FUNCTION search_vector(school_id uuid, value text) RETURNS tsvector
    LANGUAGE plpgsql IMMUTABLE COST 1000 PARALLEL SAFE
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      return array_to_tsvector(array_remove(string_to_array('@' || school_id || ' ' || search_words(value), ' '), ''));
    end
  $$;

CREATE FUNCTION set_updated_at() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    begin
      new.updated_at := updated_at_after(old.updated_at, 1);
      return new;
    end
  $$;

CREATE FUNCTION settle_early_discount() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    declare
      invoice record;
      settled record;
      taken_back numeric := 0;
      closed_until timestamptz;
      dated_at timestamptz;
    begin
      if tg_table_name like 'payments%' then
        select
          id, school_id, total_amount, written_off_total, refunds_total, reversals_total, issued_at, early_discount,
          early_until, early_adjustment_id
        into invoice
        from invoices
        where id = new.invoice_id and school_id = new.school_id and early_discount is not null and voided_at is null
        for no key update;
        if not found then
          return null;
        end if;
      elsif new.voided_at is not null or new.early_adjustment_id is not null and new.paid_total >= old.paid_total then
        return null;
      else
        invoice := new;
      end if;
      -- A credit note that releases money has not moved its total yet, so the adjustments are summed.
      select paid, paid_in_time, adjusted, refunded_at into settled
      from (
        select
          coalesce(sum(change), 0) as paid,
          coalesce(sum(change) filter (where paid_at <= invoice.early_until), 0) as paid_in_time,
          -- Of this transaction.
          max(paid_at) filter (where kind = 'REFUND' and (created_at = now() or payments.xmin = pg_current_xact_id()::xid)) as refunded_at
        from payments
        cross join lateral (select case kind when 'PAYMENT' then amount else -amount end as change) as movement
        where invoice_id = invoice.id and school_id = invoice.school_id
      ) as money
      cross join (
        select coalesce(sum(case when reverses_id is null then amount else -amount end), 0) as adjusted
        from adjustments
        where invoice_id = invoice.id and school_id = invoice.school_id
      ) as adjustments;
      if invoice.early_adjustment_id is not null
         and least(settled.paid, settled.paid_in_time) + settled.adjusted >= invoice.total_amount
      then
        return null;
      end if;
      -- Money of an open period can settle an invoice whose other money is of a closed one.
      select closes_at into closed_until
      from closings
      where school_id = invoice.school_id and reopened_at is null
      order by through desc
      limit 1;
      if invoice.early_adjustment_id is not null then
        insert into adjustments (school_id, invoice_id, reverses_id, kind, amount, reason, adjusted_at, updated_at)
        select
          school_id, invoice_id, id, kind, amount, 'The early payment was taken back', reversed_at,
          greatest(now(), reversed_at)
        from adjustments
        cross join lateral (select greatest(adjusted_at, settled.refunded_at) as moved_at) as moved
        cross join lateral (
          select case when moved_at <= closed_until then now() else moved_at end as reversed_at
        ) as dated
        where id = invoice.early_adjustment_id and school_id = invoice.school_id
        returning amount into taken_back;
      end if;
      dated_at := last_standing_payment_of(invoice.id, invoice.school_id);
      if invoice.total_amount - settled.paid - settled.adjusted + taken_back not between 0.01 and invoice.early_discount
         or dated_at > invoice.early_until
         or dated_at is null
         or invoice.written_off_total > 0
         -- An adjustment cannot be dated ahead.
         or invoice.issued_at > now()
      then
        return null;
      end if;
      dated_at := greatest(
        dated_at, invoice.issued_at,
        case
          when invoice.refunds_total > 0 or invoice.reversals_total > 0 or taken_back > 0
            then last_payment_of(invoice.id, invoice.school_id)
        end
      );
      if dated_at <= closed_until then
        dated_at := now();
      end if;
      insert into adjustments (school_id, invoice_id, kind, amount, reason, adjusted_at, updated_at)
      values (
        invoice.school_id, invoice.id, 'DISCOUNT',
        invoice.total_amount - settled.paid - settled.adjusted + taken_back, 'Early-payment discount', dated_at,
        greatest(now(), dated_at)
      );
      return null;
    end
  $$;

CREATE FUNCTION split_by_shares(amount numeric, shares numeric[], decimals integer DEFAULT 2) RETURNS numeric[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT array_agg((parts.part + (CASE WHEN ((parts.turn)::numeric <= parts.units_left) THEN power(0.1, (split_by_shares.decimals)::numeric) ELSE (0)::numeric END)::numeric(18,2)) ORDER BY parts.place) AS array_agg FROM (SELECT given.place, rounded.part, row_number() OVER (ORDER BY (rounded.exact - rounded.part) DESC, given.place) AS turn, ((split_by_shares.amount - sum(rounded.part) OVER ()) * power((10)::numeric, (split_by_shares.decimals)::numeric)) AS units_left FROM (unnest(split_by_shares.shares) WITH ORDINALITY given(share, place) CROSS JOIN LATERAL (SELECT ((split_by_shares.amount * given.share) * 0.01) AS exact, trunc(((split_by_shares.amount * given.share) * 0.01), split_by_shares.decimals) AS part) rounded)) parts);

CREATE FUNCTION start_of_movement(day date, receipt uuid, school uuid) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
    declare
      zone text := (select time_zone from schools where id = school);
      moved_at timestamptz := last_movement_of(receipt, school);
    begin
      return case when (moved_at at time zone zone)::date = day then moved_at else start_of_day(day, zone) end;
    end
  $$;

CREATE FUNCTION statement_line_of(id uuid, student_id uuid, total_amount numeric, issued_at timestamp with time zone, due_date date, description text, payments_total numeric, refunds_total numeric, balance_due numeric, status text) RETURNS statement_line
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN ROW(id, student_id, amount_text(total_amount), instant_text(issued_at), due_date, description, amount_text(payments_total), amount_text(refunds_total), amount_text((payments_total - refunds_total)), amount_text(balance_due), status)::statement_line;

CREATE FUNCTION statement_line_of(id uuid, student_id uuid, total_amount numeric, issued_at timestamp with time zone, due_date date, description text, credited_total numeric, discounted_total numeric, written_off_total numeric, payments_total numeric, refunds_total numeric, balance_due numeric, status text) RETURNS account_line
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN ROW(id, student_id, amount_text(total_amount), instant_text(issued_at), due_date, description, amount_text(credited_total), amount_text(discounted_total), amount_text(written_off_total), amount_text(payments_total), amount_text(refunds_total), amount_text((payments_total - refunds_total)), amount_text(balance_due), status)::account_line;

CREATE FUNCTION statement_totals_of(invoiced numeric, payments numeric, refunds numeric, balance_due numeric, not_overdue numeric) RETURNS statement_totals
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ROW(amount_text(invoiced), amount_text(payments), amount_text(refunds), amount_text((payments - refunds)), amount_text(balance_due), amount_text((balance_due - COALESCE(not_overdue, (0)::numeric))))::statement_totals;

CREATE FUNCTION statement_totals_of(invoiced numeric, credited numeric, discounted numeric, written_off numeric, payments numeric, refunds numeric, balance_due numeric, not_overdue numeric) RETURNS account_totals
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ROW(amount_text(invoiced), amount_text(credited), amount_text(discounted), amount_text(written_off), amount_text(payments), amount_text(refunds), amount_text((payments - refunds)), amount_text(balance_due), amount_text((balance_due - COALESCE(not_overdue, (0)::numeric))))::account_totals;

CREATE FUNCTION take_number(school uuid, of_series text, taken_at timestamp with time zone) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      return (
        select document_number(prefix, of_series, year, first_number)
        from take_numbers(school, of_series, taken_at, 1)
      );
    end
  $$;

CREATE FUNCTION take_numbers(school uuid, of_series text, taken_at timestamp with time zone, how_many integer) RETURNS TABLE(prefix text, year integer, first_number bigint)
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
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
  $$;

CREATE FUNCTION updated_at_after(updated_at timestamp with time zone, changes integer) RETURNS timestamp with time zone
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE WHEN (changes = 0) THEN updated_at ELSE (GREATEST(now(), (updated_at + '00:00:00.000001'::interval)) + (((changes - 1))::double precision * '00:00:00.000001'::interval)) END;

CREATE FUNCTION written_by(actor text, request_id text) RETURNS boolean
    LANGUAGE sql
    RETURN ((set_config('school_billing.actor'::text, COALESCE(actor, ''::text), true) IS NOT NULL) AND (set_config('school_billing.request_id'::text, COALESCE(request_id, ''::text), true) IS NOT NULL));

CREATE AGGREGATE audit_chain(tip bytea, digest bytea) (
    SFUNC = audit_link,
    STYPE = bytea
);

CREATE TABLE adjustments (
    id uuid DEFAULT uuidv7() NOT NULL,
    school_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    reverses_id uuid,
    kind text NOT NULL,
    number text,
    amount numeric(12,2) NOT NULL,
    reason text NOT NULL,
    adjusted_at timestamp with time zone DEFAULT now() NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT adjustments_adjusted_at_not_in_future CHECK ((adjusted_at <= updated_at)),
    CONSTRAINT adjustments_amount_positive CHECK (((amount > (0)::numeric) AND (amount <> 'NaN'::numeric))),
    CONSTRAINT adjustments_kind_known CHECK ((kind = ANY (ARRAY['CREDIT_NOTE'::text, 'DISCOUNT'::text, 'WRITE_OFF'::text]))),
    CONSTRAINT adjustments_reason_plain CHECK (is_plain_text(reason, 500))
);

CREATE TABLE invoices (
    id uuid DEFAULT uuidv7() NOT NULL,
    school_id uuid NOT NULL,
    student_id uuid NOT NULL,
    total_amount numeric(12,2) NOT NULL,
    issued_at timestamp with time zone DEFAULT now() NOT NULL,
    due_date date NOT NULL,
    description text,
    voided_at timestamp with time zone,
    void_reason text,
    payments_total numeric(18,2) DEFAULT 0 NOT NULL,
    refunds_total numeric(18,2) DEFAULT 0 NOT NULL,
    paid_total numeric(18,2) GENERATED ALWAYS AS ((payments_total - refunds_total)) STORED NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    payer_id uuid,
    number text,
    credited_total numeric(18,2) DEFAULT 0 NOT NULL,
    discounted_total numeric(18,2) DEFAULT 0 NOT NULL,
    written_off_total numeric(18,2) DEFAULT 0 NOT NULL,
    reversals_total numeric(18,2) DEFAULT 0 NOT NULL,
    balance_due numeric(18,2) GENERATED ALWAYS AS (
CASE
    WHEN (voided_at IS NULL) THEN (((((total_amount - payments_total) + refunds_total) - credited_total) - discounted_total) - written_off_total)
    ELSE (0)::numeric
END) STORED NOT NULL,
    status text GENERATED ALWAYS AS (invoice_status((voided_at IS NOT NULL), (payments_total - refunds_total), total_amount, (credited_total + discounted_total), written_off_total)) STORED NOT NULL,
    billing_run_id uuid,
    fee_plan_id uuid,
    period text,
    instalment integer,
    late_invoice_id uuid,
    late_after_days integer,
    early_discount numeric(12,2),
    early_until timestamp with time zone,
    early_adjustment_id uuid,
    CONSTRAINT invoices_description_length CHECK ((char_length(description) <= 500)),
    CONSTRAINT invoices_description_plain CHECK (is_plain_text(description)),
    CONSTRAINT invoices_due_date_in_calendar CHECK (((due_date >= '1900-01-01'::date) AND (due_date <= '2999-12-31'::date))),
    CONSTRAINT invoices_early_discount_in_range CHECK (((early_discount > (0)::numeric) AND (early_discount < total_amount))),
    CONSTRAINT invoices_early_discount_is_whole CHECK (((early_discount IS NULL) = (early_until IS NULL))),
    CONSTRAINT invoices_issued_at_in_calendar CHECK (((issued_at >= '1900-01-01 00:00:00+00'::timestamp with time zone) AND (issued_at <= '2999-12-31 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT invoices_late_fees_are_whole CHECK ((((late_invoice_id IS NULL) = (late_after_days IS NULL)) AND ((late_invoice_id IS NULL) OR (billing_run_id IS NOT NULL)))),
    CONSTRAINT invoices_none_adjusted_when_void CHECK (((voided_at IS NULL) OR (((credited_total + discounted_total) + written_off_total) = (0)::numeric))),
    CONSTRAINT invoices_none_paid_when_void CHECK (((voided_at IS NULL) OR (payments_total = refunds_total))),
    CONSTRAINT invoices_of_runs_are_whole CHECK ((num_nonnulls(billing_run_id, fee_plan_id, period, instalment) = ANY (ARRAY[0, 4]))),
    CONSTRAINT invoices_paid_at_most_total CHECK ((((((payments_total - refunds_total) + credited_total) + discounted_total) + written_off_total) <= total_amount)),
    CONSTRAINT invoices_refunded_at_most_paid CHECK (((payments_total - refunds_total) >= (0)::numeric)),
    CONSTRAINT invoices_total_amount_positive CHECK (((total_amount > (0)::numeric) AND (total_amount <> 'NaN'::numeric))),
    CONSTRAINT invoices_totals_not_negative CHECK ((LEAST(payments_total, refunds_total, credited_total, discounted_total, written_off_total, reversals_total) >= (0)::numeric)),
    CONSTRAINT invoices_void_has_reason CHECK (((voided_at IS NULL) = (void_reason IS NULL))),
    CONSTRAINT invoices_void_reason_plain CHECK (is_plain_text(void_reason, 500))
)
WITH (fillfactor='90');

CREATE TABLE payments (
    id uuid DEFAULT uuidv7() NOT NULL,
    school_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    kind text DEFAULT 'PAYMENT'::text NOT NULL,
    amount numeric(12,2) NOT NULL,
    method text,
    reference text,
    paid_at timestamp with time zone DEFAULT now() NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    receipt_id uuid,
    reverses_id uuid,
    reason text,
    CONSTRAINT payments_amount_positive CHECK (((amount > (0)::numeric) AND (amount <> 'NaN'::numeric))),
    CONSTRAINT payments_kind_known CHECK ((kind = ANY (ARRAY['PAYMENT'::text, 'REFUND'::text]))),
    CONSTRAINT payments_method_plain CHECK (is_method(method)),
    CONSTRAINT payments_paid_at_in_calendar CHECK ((paid_at >= '1900-01-01 00:00:00+00'::timestamp with time zone)),
    CONSTRAINT payments_paid_at_not_in_future CHECK ((paid_at <= updated_at)),
    CONSTRAINT payments_reason_plain CHECK (is_plain_text(reason, 500)),
    CONSTRAINT payments_reference_plain CHECK (is_plain_line(reference, 255)),
    CONSTRAINT payments_refunds_of_receipts_name_their_payment CHECK (((reverses_id IS NOT NULL) = ((receipt_id IS NOT NULL) AND (kind = 'REFUND'::text))))
);

CREATE VIEW account_entries AS
 SELECT invoices.school_id,
    invoices.student_id,
    invoices.id AS invoice_id,
    NULL::uuid AS payment_id,
    invoices.issued_at,
    invoices.issued_at AS happened_at,
    1 AS turn,
    'INVOICE'::text AS kind,
    invoices.total_amount AS amount,
    invoices.total_amount AS change,
    invoices.description,
    NULL::text AS method,
    NULL::text AS reference,
    invoices.payer_id,
    NULL::uuid AS receipt_id,
    NULL::uuid AS adjustment_id
   FROM invoices
UNION ALL
 SELECT payments.school_id,
    invoices.student_id,
    payments.invoice_id,
    payments.id AS payment_id,
    invoices.issued_at,
    counts_from(payments.paid_at, invoices.issued_at, invoices.voided_at) AS happened_at,
    2 AS turn,
    payments.kind,
    payments.amount,
        CASE payments.kind
            WHEN 'PAYMENT'::text THEN (- payments.amount)
            ELSE payments.amount
        END AS change,
    NULL::text AS description,
    payments.method,
    payments.reference,
    invoices.payer_id,
    payments.receipt_id,
    NULL::uuid AS adjustment_id
   FROM (payments
     JOIN invoices ON (((invoices.id = payments.invoice_id) AND (invoices.school_id = payments.school_id))))
UNION ALL
 SELECT adjustments.school_id,
    invoices.student_id,
    adjustments.invoice_id,
    NULL::uuid AS payment_id,
    invoices.issued_at,
    counts_from(adjustments.adjusted_at, invoices.issued_at, invoices.voided_at) AS happened_at,
    2 AS turn,
        CASE
            WHEN (adjustments.reverses_id IS NULL) THEN adjustments.kind
            ELSE (adjustments.kind || '_REVERSAL'::text)
        END AS kind,
    adjustments.amount,
        CASE
            WHEN (adjustments.reverses_id IS NULL) THEN (- adjustments.amount)
            ELSE adjustments.amount
        END AS change,
    adjustments.reason AS description,
    NULL::text AS method,
    adjustments.number AS reference,
    invoices.payer_id,
    NULL::uuid AS receipt_id,
    adjustments.id AS adjustment_id
   FROM (invoices
     JOIN adjustments ON (((adjustments.invoice_id = invoices.id) AND (adjustments.school_id = invoices.school_id))))
  WHERE ((invoices.credited_total > (0)::numeric) OR (invoices.discounted_total > (0)::numeric) OR (invoices.written_off_total > (0)::numeric) OR (invoices.reversals_total > (0)::numeric))
UNION ALL
 SELECT invoices.school_id,
    invoices.student_id,
    invoices.id AS invoice_id,
    NULL::uuid AS payment_id,
    invoices.issued_at,
    counts_from(invoices.voided_at, invoices.issued_at, NULL::timestamp with time zone) AS happened_at,
    3 AS turn,
    'VOID'::text AS kind,
    invoices.total_amount AS amount,
    (- invoices.total_amount) AS change,
    invoices.description,
    NULL::text AS method,
    NULL::text AS reference,
    invoices.payer_id,
    NULL::uuid AS receipt_id,
    NULL::uuid AS adjustment_id
   FROM invoices
  WHERE (invoices.voided_at IS NOT NULL);

CREATE TABLE adjustment_lines (
    id uuid DEFAULT uuidv7() NOT NULL,
    school_id uuid NOT NULL,
    adjustment_id uuid NOT NULL,
    "position" integer NOT NULL,
    description text NOT NULL,
    category text,
    amount numeric(12,2) NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT adjustment_lines_amount_is_number CHECK ((amount <> 'NaN'::numeric)),
    CONSTRAINT adjustment_lines_category_plain CHECK (is_plain_line(category, 50)),
    CONSTRAINT adjustment_lines_description_plain CHECK (is_plain_line(description, 255)),
    CONSTRAINT adjustment_lines_position_in_range CHECK ((("position" >= 1) AND ("position" <= 100)))
);

CREATE TABLE api_keys (
    id uuid DEFAULT uuidv7() NOT NULL,
    name text NOT NULL,
    key_hash bytea NOT NULL,
    key_prefix text NOT NULL,
    role text NOT NULL,
    school_id uuid,
    created_by text NOT NULL,
    last_used_at timestamp with time zone,
    revoked_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT api_keys_name_plain CHECK (is_plain_line(name, 100)),
    CONSTRAINT api_keys_role_known CHECK ((role = ANY (ARRAY['admin'::text, 'accountant'::text, 'viewer'::text])))
);

CREATE TABLE awards (
    id uuid DEFAULT uuidv7() NOT NULL,
    school_id uuid NOT NULL,
    student_id uuid NOT NULL,
    description text NOT NULL,
    categories text[],
    percent numeric(7,4),
    amount numeric(12,2),
    valid_from date NOT NULL,
    valid_to date,
    reason text NOT NULL,
    approved_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT awards_amount_positive CHECK (((amount > (0)::numeric) AND (amount <> 'NaN'::numeric))),
    CONSTRAINT awards_approved_by_plain CHECK (is_plain_line(approved_by, 100)),
    CONSTRAINT awards_description_plain CHECK (is_plain_line(description, 255)),
    CONSTRAINT awards_end_after_they_begin CHECK ((valid_to >= valid_from)),
    CONSTRAINT awards_percent_in_range CHECK (((percent > (0)::numeric) AND (percent <= (100)::numeric))),
    CONSTRAINT awards_percent_or_amount CHECK ((num_nonnulls(percent, amount) = 1)),
    CONSTRAINT awards_reason_plain CHECK (is_plain_text(reason, 500)),
    CONSTRAINT awards_valid_from_in_calendar CHECK (((valid_from >= '1900-01-01'::date) AND (valid_from <= '2999-12-31'::date))),
    CONSTRAINT awards_valid_to_in_calendar CHECK (((valid_to >= '1900-01-01'::date) AND (valid_to <= '2999-12-31'::date)))
);

CREATE TABLE billing_run_rows (
    id uuid DEFAULT uuidv7() NOT NULL,
    school_id uuid NOT NULL,
    billing_run_id uuid NOT NULL,
    student_id uuid NOT NULL,
    verdict text NOT NULL,
    reason text,
    sibling_rank integer NOT NULL,
    items_total numeric(18,2) NOT NULL,
    discounts_total numeric(18,2) NOT NULL,
    total_amount numeric(18,2) NOT NULL,
    lines jsonb NOT NULL,
    invoices jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT billing_run_rows_total_is_what_is_left CHECK (((total_amount = (items_total + discounts_total)) AND (total_amount >= (0)::numeric))),
    CONSTRAINT billing_run_rows_verdict_known CHECK ((verdict = ANY (ARRAY['will_create'::text, 'already_billed'::text, 'skipped'::text, 'failed'::text, 'created'::text, 'changed'::text])))
);

CREATE TABLE billing_runs (
    id uuid DEFAULT uuidv7() NOT NULL,
    school_id uuid NOT NULL,
    fee_plan_id uuid NOT NULL,
    plan_version integer NOT NULL,
    period text NOT NULL,
    group_name text,
    student_ids uuid[],
    due_dates date[] NOT NULL,
    issued_at timestamp with time zone NOT NULL,
    issued_on date NOT NULL,
    counts jsonb NOT NULL,
    totals jsonb NOT NULL,
    total_amount numeric(18,2) NOT NULL,
    invoices_count integer NOT NULL,
    committed_at timestamp with time zone,
    abandoned_at timestamp with time zone,
    reverted_at timestamp with time zone,
    revert_reason text,
    status text GENERATED ALWAYS AS (
CASE
    WHEN (reverted_at IS NOT NULL) THEN 'REVERTED'::text
    WHEN (committed_at IS NOT NULL) THEN 'COMMITTED'::text
    WHEN (abandoned_at IS NOT NULL) THEN 'ABANDONED'::text
    ELSE 'PREVIEW'::text
END) STORED NOT NULL,
    number_year integer,
    first_number bigint,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    kind text DEFAULT 'FEES'::text NOT NULL,
    CONSTRAINT billing_runs_due_after_issue CHECK ((due_dates[1] >= issued_on)),
    CONSTRAINT billing_runs_due_dates_ascending CHECK (is_ascending(due_dates)),
    CONSTRAINT billing_runs_due_dates_in_calendar CHECK (((due_dates[1] >= '1900-01-01'::date) AND (due_dates[cardinality(due_dates)] <= '2999-12-31'::date))),
    CONSTRAINT billing_runs_due_dates_in_range CHECK (((cardinality(due_dates) >= 1) AND (cardinality(due_dates) <= 36))),
    CONSTRAINT billing_runs_issued_at_in_calendar CHECK (((issued_at >= '1900-01-01 00:00:00+00'::timestamp with time zone) AND (issued_at <= '2999-12-31 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT billing_runs_kind_known CHECK ((kind = ANY (ARRAY['FEES'::text, 'LATE_FEES'::text]))),
    CONSTRAINT billing_runs_one_end CHECK ((num_nonnulls(committed_at, abandoned_at) <= 1)),
    CONSTRAINT billing_runs_period_plain CHECK (is_plain_line(period, 50)),
    CONSTRAINT billing_runs_revert_reason_plain CHECK (is_plain_text(revert_reason, 500)),
    CONSTRAINT billing_runs_reverted_after_commit CHECK (((reverted_at IS NULL) OR (committed_at IS NOT NULL))),
    CONSTRAINT billing_runs_reverted_has_reason CHECK (((reverted_at IS NULL) = (revert_reason IS NULL)))
);

CREATE TABLE closings (
    id uuid DEFAULT uuidv7() NOT NULL,
    school_id uuid NOT NULL,
    starts_on date,
    through date NOT NULL,
    opens_at timestamp with time zone NOT NULL,
    closes_at timestamp with time zone NOT NULL,
    reason text,
    opening_balance numeric(18,2) NOT NULL,
    invoiced numeric(18,2) NOT NULL,
    credited numeric(18,2) NOT NULL,
    discounted numeric(18,2) NOT NULL,
    written_off numeric(18,2) NOT NULL,
    received numeric(18,2) NOT NULL,
    refunded numeric(18,2) NOT NULL,
    voided numeric(18,2) NOT NULL,
    closing_balance numeric(18,2) NOT NULL,
    bucket_0 numeric(18,2) NOT NULL,
    bucket_1 numeric(18,2) NOT NULL,
    bucket_2 numeric(18,2) NOT NULL,
    bucket_3 numeric(18,2) NOT NULL,
    bucket_4 numeric(18,2) NOT NULL,
    unallocated numeric(18,2) NOT NULL,
    audit_position bigint,
    audit_hash bytea,
    reopened_at timestamp with time zone,
    reopen_reason text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT closings_reason_plain CHECK (is_plain_text(reason, 500)),
    CONSTRAINT closings_reopen_reason_plain CHECK (is_plain_text(reopen_reason, 500)),
    CONSTRAINT closings_reopened_has_reason CHECK (((reopened_at IS NULL) = (reopen_reason IS NULL))),
    CONSTRAINT closings_through_in_calendar CHECK (((through >= '1900-01-01'::date) AND (through <= '2999-12-31'::date))),
    CONSTRAINT closings_tie CHECK ((((((((((opening_balance + invoiced) - credited) - discounted) - written_off) - received) + refunded) - voided) = closing_balance) AND ((((((bucket_0 + bucket_1) + bucket_2) + bucket_3) + bucket_4) - unallocated) = closing_balance)))
);

CREATE TABLE document_counters (
    school_id uuid NOT NULL,
    series text NOT NULL,
    year integer NOT NULL,
    last_number bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT document_counters_last_number_positive CHECK ((last_number > 0)),
    CONSTRAINT document_counters_series_known CHECK ((series = ANY (ARRAY['INVOICE'::text, 'CREDIT_NOTE'::text, 'RECEIPT'::text])))
);

CREATE TABLE fee_plan_items (
    id uuid DEFAULT uuidv7() NOT NULL,
    school_id uuid NOT NULL,
    fee_plan_id uuid NOT NULL,
    version integer NOT NULL,
    "position" integer NOT NULL,
    kind text NOT NULL,
    description text NOT NULL,
    category text,
    categories text[],
    percent numeric(7,4),
    amount numeric(12,2),
    from_rank integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    after_days integer,
    minimum numeric(12,2),
    maximum_times integer,
    days_before_due integer,
    CONSTRAINT fee_plan_items_after_days_in_range CHECK (((after_days >= 1) AND (after_days <= 365))),
    CONSTRAINT fee_plan_items_amount_positive CHECK (((amount > (0)::numeric) AND (amount <> 'NaN'::numeric))),
    CONSTRAINT fee_plan_items_category_plain CHECK (is_plain_line(category, 50)),
    CONSTRAINT fee_plan_items_days_before_due_in_range CHECK (((days_before_due >= 0) AND (days_before_due <= 365))),
    CONSTRAINT fee_plan_items_description_plain CHECK (is_plain_line(description, 255)),
    CONSTRAINT fee_plan_items_fields_of_kind CHECK ((
CASE kind
    WHEN 'item'::text THEN ((amount IS NOT NULL) AND (category IS NOT NULL) AND (num_nonnulls(categories, percent, from_rank) = 0))
    WHEN 'sibling'::text THEN ((num_nonnulls(percent, amount) = 1) AND (from_rank IS NOT NULL) AND (category IS NULL))
    WHEN 'percentage'::text THEN ((percent IS NOT NULL) AND (num_nonnulls(amount, from_rank, category) = 0))
    WHEN 'fixed'::text THEN ((amount IS NOT NULL) AND (num_nonnulls(percent, from_rank, category) = 0))
    ELSE ((num_nonnulls(percent, amount) = 1) AND (num_nonnulls(categories, from_rank, category) = 0))
END AND ((kind = 'late_fee'::text) = (after_days IS NOT NULL)) AND ((kind = 'late_fee'::text) = (maximum_times IS NOT NULL)) AND ((kind = 'early_discount'::text) = (days_before_due IS NOT NULL)) AND ((minimum IS NULL) OR ((kind = 'late_fee'::text) AND (percent IS NOT NULL))))),
    CONSTRAINT fee_plan_items_from_rank_in_range CHECK (((from_rank >= 1) AND (from_rank <= 20))),
    CONSTRAINT fee_plan_items_kind_known CHECK ((kind = ANY (ARRAY['item'::text, 'sibling'::text, 'percentage'::text, 'fixed'::text, 'late_fee'::text, 'early_discount'::text]))),
    CONSTRAINT fee_plan_items_maximum_times_in_range CHECK (((maximum_times >= 1) AND (maximum_times <= 36))),
    CONSTRAINT fee_plan_items_minimum_positive CHECK (((minimum > (0)::numeric) AND (minimum <> 'NaN'::numeric))),
    CONSTRAINT fee_plan_items_percent_in_range CHECK (((percent > (0)::numeric) AND (percent <= (100)::numeric))),
    CONSTRAINT fee_plan_items_position_in_range CHECK ((("position" >= 1) AND ("position" <= 80)))
);

CREATE TABLE fee_plans (
    id uuid DEFAULT uuidv7() NOT NULL,
    school_id uuid NOT NULL,
    name text NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT fee_plans_name_plain CHECK (is_plain_line(name, 255)),
    CONSTRAINT fee_plans_version_positive CHECK ((version > 0))
);

CREATE TABLE idempotency_keys (
    scope text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    answer jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT idempotency_keys_key_length CHECK (((char_length(key) >= 1) AND (char_length(key) <= 255)))
);

CREATE TABLE invoice_lines (
    id uuid DEFAULT uuidv7() NOT NULL,
    school_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    "position" integer NOT NULL,
    description text NOT NULL,
    category text,
    amount numeric(12,2) NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT invoice_lines_amount_is_number CHECK ((amount <> 'NaN'::numeric)),
    CONSTRAINT invoice_lines_category_plain CHECK (is_plain_line(category, 50)),
    CONSTRAINT invoice_lines_description_plain CHECK (is_plain_line(description, 255)),
    CONSTRAINT invoice_lines_position_in_range CHECK ((("position" >= 1) AND ("position" <= 100)))
);

CREATE TABLE login_throttles (
    bucket bytea NOT NULL,
    attempts integer NOT NULL,
    window_ends_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    account bytea
);

CREATE TABLE payers (
    id uuid DEFAULT uuidv7() NOT NULL,
    school_id uuid NOT NULL,
    kind text DEFAULT 'PERSON'::text NOT NULL,
    name text NOT NULL,
    email text,
    phone text,
    external_id text,
    language text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT payers_email_shape CHECK ((is_plain_line(email, 254) AND (email ~ '^[^@[:space:]]+@[^@[:space:]]+$'::text))),
    CONSTRAINT payers_external_id_plain CHECK (is_plain_line(external_id, 255)),
    CONSTRAINT payers_kind_known CHECK ((kind = ANY (ARRAY['PERSON'::text, 'ORGANISATION'::text]))),
    CONSTRAINT payers_language_shape CHECK ((language ~ '^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$'::text)),
    CONSTRAINT payers_name_plain CHECK (is_plain_line(name, 255)),
    CONSTRAINT payers_phone_plain CHECK (is_plain_line(phone, 50))
);

CREATE TABLE students (
    id uuid DEFAULT uuidv7() NOT NULL,
    school_id uuid NOT NULL,
    full_name text NOT NULL,
    external_id text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    group_name text,
    left_on date,
    CONSTRAINT students_external_id_plain CHECK (is_plain_line(external_id, 255)),
    CONSTRAINT students_full_name_plain CHECK (is_plain_line(full_name, 255)),
    CONSTRAINT students_group_name_plain CHECK (is_plain_line(group_name, 100)),
    CONSTRAINT students_left_on_in_calendar CHECK (((left_on >= '1900-01-01'::date) AND (left_on <= '2999-12-31'::date)))
);

CREATE VIEW receipt_allocations AS
 SELECT payments.school_id,
    payments.receipt_id,
    payments.id AS payment_id,
    payments.invoice_id,
    invoices.student_id,
    students.full_name,
    invoices.description,
    payments.amount,
    payments.paid_at AS allocated_at,
    taken_back.paid_at AS reversed_at
   FROM (((payments
     JOIN invoices ON (((invoices.id = payments.invoice_id) AND (invoices.school_id = payments.school_id))))
     JOIN students ON (((students.id = invoices.student_id) AND (students.school_id = invoices.school_id))))
     LEFT JOIN payments taken_back ON (((taken_back.reverses_id = payments.id) AND (taken_back.school_id = payments.school_id))))
  WHERE ((payments.receipt_id IS NOT NULL) AND (payments.kind = 'PAYMENT'::text));

CREATE TABLE receipt_refunds (
    id uuid DEFAULT uuidv7() NOT NULL,
    school_id uuid NOT NULL,
    receipt_id uuid NOT NULL,
    amount numeric(12,2) NOT NULL,
    method text,
    reference text,
    reason text,
    refunded_at timestamp with time zone DEFAULT now() NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT receipt_refunds_amount_positive CHECK (((amount > (0)::numeric) AND (amount <> 'NaN'::numeric))),
    CONSTRAINT receipt_refunds_method_plain CHECK (is_method(method)),
    CONSTRAINT receipt_refunds_reason_plain CHECK (is_plain_text(reason, 500)),
    CONSTRAINT receipt_refunds_reference_plain CHECK (is_plain_line(reference, 255)),
    CONSTRAINT receipt_refunds_refunded_at_not_in_future CHECK ((refunded_at <= updated_at))
);

CREATE TABLE receipts (
    id uuid DEFAULT uuidv7() NOT NULL,
    school_id uuid NOT NULL,
    payer_id uuid,
    payer_name text,
    amount numeric(12,2) NOT NULL,
    method text,
    reference text,
    source text,
    external_reference text,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    reversed_at timestamp with time zone,
    reverse_reason text,
    allocated_total numeric(18,2) DEFAULT 0 NOT NULL,
    refunded_total numeric(18,2) DEFAULT 0 NOT NULL,
    unallocated numeric(18,2) GENERATED ALWAYS AS (
CASE
    WHEN (reversed_at IS NULL) THEN ((amount - allocated_total) - refunded_total)
    ELSE (0)::numeric
END) STORED NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    number text,
    CONSTRAINT receipts_amount_positive CHECK (((amount > (0)::numeric) AND (amount <> 'NaN'::numeric))),
    CONSTRAINT receipts_external_reference_plain CHECK (is_plain_line(external_reference, 255)),
    CONSTRAINT receipts_method_plain CHECK (is_method(method)),
    CONSTRAINT receipts_none_refunded_when_reversed CHECK (((reversed_at IS NULL) OR (refunded_total = (0)::numeric))),
    CONSTRAINT receipts_payer_has_name CHECK (((payer_id IS NULL) = (payer_name IS NULL))),
    CONSTRAINT receipts_received_at_in_calendar CHECK ((received_at >= '1900-01-01 00:00:00+00'::timestamp with time zone)),
    CONSTRAINT receipts_received_at_not_in_future CHECK ((received_at <= updated_at)),
    CONSTRAINT receipts_reference_plain CHECK (is_plain_line(reference, 255)),
    CONSTRAINT receipts_reverse_reason_plain CHECK (is_plain_text(reverse_reason, 500)),
    CONSTRAINT receipts_reversed_after_received CHECK ((reversed_at >= received_at)),
    CONSTRAINT receipts_reversed_at_not_in_future CHECK ((reversed_at <= updated_at)),
    CONSTRAINT receipts_reversed_has_reason CHECK (((reversed_at IS NULL) = (reverse_reason IS NULL))),
    CONSTRAINT receipts_source_plain CHECK (is_plain_line(source, 50)),
    CONSTRAINT receipts_spent_at_most_amount CHECK (((allocated_total + refunded_total) <= amount)),
    CONSTRAINT receipts_totals_not_negative CHECK (((allocated_total >= (0)::numeric) AND (refunded_total >= (0)::numeric)))
)
WITH (fillfactor='90');

CREATE VIEW receipt_entries AS
 SELECT receipts.school_id,
    receipts.payer_id,
    receipts.id AS receipt_id,
    NULL::uuid AS payment_id,
    NULL::uuid AS invoice_id,
    receipts.received_at AS happened_at,
    1 AS turn,
    'RECEIPT'::text AS kind,
    receipts.amount,
    receipts.amount AS change,
    NULL::text AS description,
    receipts.method,
    receipts.reference
   FROM receipts
UNION ALL
 SELECT payments.school_id,
    receipts.payer_id,
    receipts.id AS receipt_id,
    payments.id AS payment_id,
    payments.invoice_id,
    payments.paid_at AS happened_at,
    2 AS turn,
        CASE payments.kind
            WHEN 'PAYMENT'::text THEN 'ALLOCATION'::text
            ELSE 'ALLOCATION_REVERSAL'::text
        END AS kind,
    payments.amount,
        CASE payments.kind
            WHEN 'PAYMENT'::text THEN (- payments.amount)
            ELSE payments.amount
        END AS change,
    payments.reason AS description,
    payments.method,
    payments.reference
   FROM (receipts
     JOIN payments ON (((payments.receipt_id = receipts.id) AND (payments.school_id = receipts.school_id))))
UNION ALL
 SELECT receipt_refunds.school_id,
    receipts.payer_id,
    receipts.id AS receipt_id,
    NULL::uuid AS payment_id,
    NULL::uuid AS invoice_id,
    receipt_refunds.refunded_at AS happened_at,
    3 AS turn,
    'RECEIPT_REFUND'::text AS kind,
    receipt_refunds.amount,
    (- receipt_refunds.amount) AS change,
    receipt_refunds.reason AS description,
    receipt_refunds.method,
    receipt_refunds.reference
   FROM (receipts
     JOIN receipt_refunds ON (((receipt_refunds.receipt_id = receipts.id) AND (receipt_refunds.school_id = receipts.school_id))))
UNION ALL
 SELECT receipts.school_id,
    receipts.payer_id,
    receipts.id AS receipt_id,
    NULL::uuid AS payment_id,
    NULL::uuid AS invoice_id,
    receipts.reversed_at AS happened_at,
    4 AS turn,
    'RECEIPT_REVERSAL'::text AS kind,
    receipts.amount,
    (- receipts.amount) AS change,
    receipts.reverse_reason AS description,
    receipts.method,
    receipts.reference
   FROM receipts
  WHERE (receipts.reversed_at IS NOT NULL);

CREATE TABLE refresh_tokens (
    token_hash bytea NOT NULL,
    session_id uuid NOT NULL,
    spent_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE schools (
    id uuid DEFAULT uuidv7() NOT NULL,
    name text NOT NULL,
    currency text DEFAULT 'USD'::text NOT NULL,
    time_zone text DEFAULT 'UTC'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    address text,
    payment_instructions text,
    invoice_prefix text,
    iban text,
    CONSTRAINT schools_address_plain CHECK (is_plain_text(address, 500)),
    CONSTRAINT schools_currency_fits_the_books CHECK (COALESCE((currency_decimals(currency) <= 2), false)),
    CONSTRAINT schools_currency_is_iso_4217 CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT schools_iban_is_valid CHECK (
CASE
    WHEN (iban !~ '^[A-Z]{2}(0[2-9]|[1-8][0-9]|9[0-8])[A-Z0-9]{11,30}$'::text) THEN false
    ELSE passes_mod_97(iban)
END),
    CONSTRAINT schools_invoice_prefix_shape CHECK ((invoice_prefix ~ '^[A-Z0-9]{1,10}$'::text)),
    CONSTRAINT schools_name_plain CHECK (is_plain_line(name, 255)),
    CONSTRAINT schools_payment_instructions_plain CHECK (is_plain_text(payment_instructions, 1000)),
    CONSTRAINT schools_time_zone_is_known CHECK ((('1970-01-01 00:00:00+00'::timestamp with time zone AT TIME ZONE time_zone) IS NOT NULL))
);

CREATE TABLE sessions (
    id uuid DEFAULT uuidv7() NOT NULL,
    user_id uuid NOT NULL,
    generation bigint NOT NULL,
    address text,
    expires_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE student_payers (
    id uuid DEFAULT uuidv7() NOT NULL,
    school_id uuid NOT NULL,
    student_id uuid NOT NULL,
    payer_id uuid NOT NULL,
    share numeric(7,4) NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT student_payers_share_in_range CHECK (((share > (0)::numeric) AND (share <= (100)::numeric)))
);

CREATE TABLE users (
    id uuid DEFAULT uuidv7() NOT NULL,
    username text NOT NULL,
    password_hash text NOT NULL,
    role text NOT NULL,
    school_id uuid,
    disabled_at timestamp with time zone,
    password_changed_at timestamp with time zone DEFAULT now() NOT NULL,
    session_generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT users_password_hash_is_argon2id CHECK ((password_hash ~~ '$argon2id$%'::text)),
    CONSTRAINT users_role_known CHECK ((role = ANY (ARRAY['admin'::text, 'accountant'::text, 'viewer'::text]))),
    CONSTRAINT users_username_shape CHECK (((username = lower(username)) AND ((char_length(username) >= 1) AND (char_length(username) <= 255))))
);

ALTER TABLE ONLY adjustment_lines
    ADD CONSTRAINT adjustment_lines_pkey PRIMARY KEY (id, school_id);

ALTER TABLE ONLY adjustment_lines
    ADD CONSTRAINT adjustment_lines_position_key UNIQUE (adjustment_id, school_id, "position");

ALTER TABLE ONLY adjustments
    ADD CONSTRAINT adjustments_pkey PRIMARY KEY (id, school_id);

ALTER TABLE ONLY api_keys
    ADD CONSTRAINT api_keys_key_hash_key UNIQUE (key_hash);

ALTER TABLE ONLY api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (id, school_id);

ALTER TABLE ONLY audit_log
    ADD CONSTRAINT audit_log_position_key UNIQUE (school_id, "position");

ALTER TABLE ONLY awards
    ADD CONSTRAINT awards_pkey PRIMARY KEY (id, school_id);

ALTER TABLE ONLY billing_run_rows
    ADD CONSTRAINT billing_run_rows_pkey PRIMARY KEY (id, school_id);

ALTER TABLE ONLY billing_run_rows
    ADD CONSTRAINT billing_run_rows_student_id_key UNIQUE (billing_run_id, school_id, student_id);

ALTER TABLE ONLY billing_runs
    ADD CONSTRAINT billing_runs_period_key UNIQUE (id, school_id, fee_plan_id, period);

ALTER TABLE ONLY billing_runs
    ADD CONSTRAINT billing_runs_pkey PRIMARY KEY (id, school_id);

ALTER TABLE ONLY closings
    ADD CONSTRAINT closings_pkey PRIMARY KEY (id, school_id);

ALTER TABLE ONLY document_counters
    ADD CONSTRAINT document_counters_pkey PRIMARY KEY (school_id, series, year);

ALTER TABLE ONLY fee_plan_items
    ADD CONSTRAINT fee_plan_items_pkey PRIMARY KEY (id, school_id);

ALTER TABLE ONLY fee_plan_items
    ADD CONSTRAINT fee_plan_items_position_key UNIQUE (fee_plan_id, school_id, version, "position");

ALTER TABLE ONLY fee_plans
    ADD CONSTRAINT fee_plans_pkey PRIMARY KEY (id, school_id);

ALTER TABLE ONLY idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (scope, key);

ALTER TABLE ONLY invoice_lines
    ADD CONSTRAINT invoice_lines_pkey PRIMARY KEY (id, school_id);

ALTER TABLE ONLY invoice_lines
    ADD CONSTRAINT invoice_lines_position_key UNIQUE (invoice_id, school_id, "position");

ALTER TABLE ONLY invoices
    ADD CONSTRAINT invoices_pkey PRIMARY KEY (id, school_id);

ALTER TABLE ONLY login_throttles
    ADD CONSTRAINT login_throttles_pkey PRIMARY KEY (bucket);

ALTER TABLE ONLY payers
    ADD CONSTRAINT payers_pkey PRIMARY KEY (id, school_id);

ALTER TABLE ONLY payments
    ADD CONSTRAINT payments_pkey PRIMARY KEY (id, school_id);

ALTER TABLE ONLY receipt_refunds
    ADD CONSTRAINT receipt_refunds_pkey PRIMARY KEY (id, school_id);

ALTER TABLE ONLY receipts
    ADD CONSTRAINT receipts_pkey PRIMARY KEY (id, school_id);

ALTER TABLE ONLY refresh_tokens
    ADD CONSTRAINT refresh_tokens_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY schools
    ADD CONSTRAINT schools_pkey PRIMARY KEY (id);

ALTER TABLE ONLY sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY student_payers
    ADD CONSTRAINT student_payers_payer_id_key UNIQUE (student_id, school_id, payer_id);

ALTER TABLE ONLY student_payers
    ADD CONSTRAINT student_payers_pkey PRIMARY KEY (id, school_id);

ALTER TABLE ONLY students
    ADD CONSTRAINT students_pkey PRIMARY KEY (id, school_id);

ALTER TABLE ONLY users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY users
    ADD CONSTRAINT users_username_key UNIQUE (username);

CREATE INDEX adjustments_invoice_id_school_id_idx ON adjustments USING btree (invoice_id, school_id);

CREATE UNIQUE INDEX adjustments_number_key ON adjustments USING btree (number, school_id) WHERE (number IS NOT NULL);

CREATE UNIQUE INDEX adjustments_reverses_id_key ON adjustments USING btree (reverses_id, school_id) WHERE (reverses_id IS NOT NULL);

CREATE INDEX adjustments_school_id_adjusted_at_idx ON adjustments USING btree (school_id, adjusted_at);

CREATE INDEX adjustments_school_id_id_idx ON adjustments USING btree (school_id, id);

CREATE UNIQUE INDEX api_keys_name_key ON api_keys USING btree (school_id, name) NULLS NOT DISTINCT WHERE (revoked_at IS NULL);

CREATE INDEX api_keys_school_id_id_idx ON api_keys USING btree (school_id, id);

CREATE INDEX audit_log_entity_id_idx ON audit_log USING btree (entity_id, id);

CREATE INDEX audit_log_school_id_id_idx ON audit_log USING btree (school_id, id);

CREATE INDEX audit_log_unsealed_idx ON audit_log USING btree (id) WHERE (hash IS NULL);

CREATE INDEX awards_school_id_id_idx ON awards USING btree (school_id, id);

CREATE INDEX awards_student_id_school_id_idx ON awards USING btree (student_id, school_id);

CREATE INDEX billing_run_rows_billing_run_id_id_idx ON billing_run_rows USING btree (billing_run_id, school_id, id);

CREATE INDEX billing_run_rows_student_id_school_id_idx ON billing_run_rows USING btree (student_id, school_id);

CREATE INDEX billing_runs_fee_plan_id_school_id_idx ON billing_runs USING btree (fee_plan_id, school_id);

CREATE INDEX billing_runs_school_id_id_idx ON billing_runs USING btree (school_id, id);

CREATE INDEX closings_school_id_id_idx ON closings USING btree (school_id, id);

CREATE UNIQUE INDEX closings_through_key ON closings USING btree (school_id, through) WHERE (reopened_at IS NULL);

CREATE UNIQUE INDEX fee_plan_items_early_discount_key ON fee_plan_items USING btree (fee_plan_id, school_id, version) WHERE (kind = 'early_discount'::text);

CREATE UNIQUE INDEX fee_plan_items_late_fee_key ON fee_plan_items USING btree (fee_plan_id, school_id, version, after_days) WHERE (kind = 'late_fee'::text);

CREATE INDEX fee_plans_school_id_id_idx ON fee_plans USING btree (school_id, id);

CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys USING btree (created_at);

CREATE INDEX invoices_adjusted_idx ON invoices USING btree (school_id, student_id, id) WHERE ((credited_total > (0)::numeric) OR (discounted_total > (0)::numeric) OR (written_off_total > (0)::numeric) OR (reversals_total > (0)::numeric));

CREATE UNIQUE INDEX invoices_billed_once_key ON invoices USING btree (fee_plan_id, school_id, period, student_id, instalment, payer_id) NULLS NOT DISTINCT WHERE ((billing_run_id IS NOT NULL) AND (voided_at IS NULL) AND (late_invoice_id IS NULL));

CREATE INDEX invoices_billing_run_id_school_id_idx ON invoices USING btree (billing_run_id, school_id, fee_plan_id, period) WHERE (billing_run_id IS NOT NULL);

CREATE INDEX invoices_early_adjustment_id_school_id_idx ON invoices USING btree (early_adjustment_id, school_id) WHERE (early_adjustment_id IS NOT NULL);

CREATE UNIQUE INDEX invoices_late_fee_key ON invoices USING btree (late_invoice_id, school_id, late_after_days, instalment) WHERE ((late_invoice_id IS NOT NULL) AND (voided_at IS NULL));

CREATE INDEX invoices_late_invoice_id_school_id_idx ON invoices USING btree (late_invoice_id, school_id) WHERE (late_invoice_id IS NOT NULL);

CREATE UNIQUE INDEX invoices_number_key ON invoices USING btree (number, school_id) WHERE (number IS NOT NULL);

CREATE INDEX invoices_payer_id_school_id_idx ON invoices USING btree (payer_id, school_id) WHERE (payer_id IS NOT NULL);

CREATE INDEX invoices_school_id_id_idx ON invoices USING btree (school_id, id);

CREATE INDEX invoices_school_id_issued_at_idx ON invoices USING btree (school_id, issued_at);

CREATE INDEX invoices_student_id_school_id_idx ON invoices USING btree (student_id, school_id);

CREATE INDEX invoices_voided_idx ON invoices USING btree (school_id, student_id, id) WHERE (voided_at IS NOT NULL);

CREATE INDEX login_throttles_window_ends_at_idx ON login_throttles USING btree (window_ends_at);

CREATE UNIQUE INDEX payers_payment_reference_key ON payers USING btree (payment_reference(id), school_id);

CREATE INDEX payers_school_id_email_idx ON payers USING btree (school_id, lower(email));

CREATE UNIQUE INDEX payers_school_id_external_id_key ON payers USING btree (school_id, lower(external_id));

CREATE INDEX payers_school_id_id_idx ON payers USING btree (school_id, id);

CREATE INDEX payers_search_idx ON payers USING gin (search_vector(school_id, ((((name || ' '::text) || COALESCE(email, ''::text)) || ' '::text) || COALESCE(external_id, ''::text))));

CREATE INDEX payments_invoice_id_school_id_idx ON payments USING btree (invoice_id, school_id);

CREATE INDEX payments_receipt_id_school_id_idx ON payments USING btree (receipt_id, school_id) WHERE (receipt_id IS NOT NULL);

CREATE UNIQUE INDEX payments_reverses_id_key ON payments USING btree (reverses_id, school_id) WHERE (reverses_id IS NOT NULL);

CREATE INDEX payments_school_id_id_idx ON payments USING btree (school_id, id);

CREATE INDEX payments_school_id_paid_at_idx ON payments USING btree (school_id, paid_at) INCLUDE (kind, amount, method);

CREATE INDEX receipt_refunds_receipt_id_school_id_idx ON receipt_refunds USING btree (receipt_id, school_id);

CREATE INDEX receipt_refunds_school_id_refunded_at_idx ON receipt_refunds USING btree (school_id, refunded_at);

CREATE UNIQUE INDEX receipts_external_reference_key ON receipts USING btree (school_id, source, external_reference) NULLS NOT DISTINCT WHERE (external_reference IS NOT NULL);

CREATE UNIQUE INDEX receipts_number_key ON receipts USING btree (number, school_id) WHERE (number IS NOT NULL);

CREATE INDEX receipts_payer_id_school_id_idx ON receipts USING btree (payer_id, school_id);

CREATE INDEX receipts_reversed_idx ON receipts USING btree (school_id, reversed_at) WHERE (reversed_at IS NOT NULL);

CREATE INDEX receipts_school_id_id_idx ON receipts USING btree (school_id, id);

CREATE INDEX receipts_school_id_received_at_idx ON receipts USING btree (school_id, received_at);

CREATE INDEX refresh_tokens_session_id_idx ON refresh_tokens USING btree (session_id);

CREATE INDEX sessions_expires_at_idx ON sessions USING btree (expires_at);

CREATE INDEX sessions_user_id_address_idx ON sessions USING btree (user_id, address, created_at);

CREATE INDEX student_payers_payer_id_school_id_idx ON student_payers USING btree (payer_id, school_id);

CREATE UNIQUE INDEX students_school_id_external_id_key ON students USING btree (school_id, lower(external_id));

CREATE INDEX students_school_id_id_idx ON students USING btree (school_id, id);

CREATE INDEX students_search_idx ON students USING gin (search_vector(school_id, ((full_name || ' '::text) || COALESCE(external_id, ''::text))));

CREATE INDEX users_school_id_id_idx ON users USING btree (school_id, id);

CREATE TRIGGER adjustment_lines_are_audited AFTER INSERT OR DELETE OR UPDATE ON adjustment_lines FOR EACH ROW EXECUTE FUNCTION append_to_audit_log();

CREATE TRIGGER adjustment_lines_fit_the_currency AFTER INSERT ON adjustment_lines FOR EACH ROW WHEN ((new.amount <> trunc(new.amount))) EXECUTE FUNCTION refuse_cents();

CREATE TRIGGER adjustment_lines_never_truncated BEFORE TRUNCATE ON adjustment_lines FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

CREATE TRIGGER adjustment_lines_set_updated_at BEFORE UPDATE ON adjustment_lines FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER adjustment_lines_stay BEFORE DELETE OR UPDATE ON adjustment_lines FOR EACH ROW EXECUTE FUNCTION refuse_change_of_movement('adjustment_lines_are_fixed');

CREATE CONSTRAINT TRIGGER adjustment_lines_sum_to_amount AFTER INSERT ON adjustment_lines DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_other_adjustment_lines();

CREATE TRIGGER adjustments_are_audited AFTER INSERT OR DELETE OR UPDATE ON adjustments FOR EACH ROW EXECUTE FUNCTION append_to_audit_log();

CREATE TRIGGER adjustments_fit_the_currency AFTER INSERT ON adjustments FOR EACH ROW WHEN ((new.amount <> trunc(new.amount))) EXECUTE FUNCTION refuse_cents();

CREATE TRIGGER adjustments_keep_to_open_periods BEFORE INSERT ON adjustments FOR EACH ROW EXECUTE FUNCTION refuse_closed_period('adjusted_at');

CREATE TRIGGER adjustments_move_invoice_totals AFTER INSERT ON adjustments FOR EACH ROW EXECUTE FUNCTION move_adjusted_totals();

CREATE TRIGGER adjustments_never_truncated BEFORE TRUNCATE ON adjustments FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

CREATE TRIGGER adjustments_set_updated_at BEFORE UPDATE ON adjustments FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER adjustments_stay BEFORE DELETE OR UPDATE ON adjustments FOR EACH ROW EXECUTE FUNCTION refuse_change_of_movement('adjustments_are_fixed');

CREATE TRIGGER adjustments_take_their_number BEFORE INSERT ON adjustments FOR EACH ROW WHEN (((new.number IS NOT NULL) OR ((new.kind = 'CREDIT_NOTE'::text) AND (new.reverses_id IS NULL)))) EXECUTE FUNCTION number_document('CREDIT_NOTE');

CREATE TRIGGER api_keys_are_audited AFTER INSERT OR DELETE OR UPDATE OF name, key_hash, role, school_id, revoked_at ON api_keys FOR EACH ROW EXECUTE FUNCTION append_to_audit_log();

CREATE TRIGGER api_keys_keep_their_school BEFORE UPDATE OF school_id ON api_keys FOR EACH ROW WHEN ((new.school_id IS DISTINCT FROM old.school_id)) EXECUTE FUNCTION keep_school();

CREATE TRIGGER api_keys_never_truncated BEFORE TRUNCATE ON api_keys FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

CREATE TRIGGER api_keys_set_updated_at BEFORE UPDATE ON api_keys FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER audit_log_append_only BEFORE DELETE OR UPDATE ON audit_log FOR EACH ROW EXECUTE FUNCTION keep_audit_log();

CREATE TRIGGER audit_log_entries_begin BEFORE INSERT ON audit_log FOR EACH ROW WHEN ((pg_trigger_depth() = 0)) EXECUTE FUNCTION keep_audit_log();

CREATE TRIGGER audit_log_never_truncated BEFORE TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION keep_audit_log();

CREATE TRIGGER audit_log_set_updated_at BEFORE UPDATE ON audit_log FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER awards_are_audited AFTER INSERT OR DELETE OR UPDATE ON awards FOR EACH ROW EXECUTE FUNCTION append_to_audit_log();

CREATE TRIGGER awards_fit_the_currency AFTER INSERT OR UPDATE OF amount ON awards FOR EACH ROW WHEN ((new.amount <> trunc(new.amount))) EXECUTE FUNCTION refuse_cents();

CREATE TRIGGER awards_never_truncated BEFORE TRUNCATE ON awards FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

CREATE TRIGGER awards_set_updated_at BEFORE UPDATE ON awards FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER awards_stay_with_their_student BEFORE UPDATE OF student_id, school_id ON awards FOR EACH ROW WHEN (((new.student_id <> old.student_id) OR (new.school_id <> old.school_id))) EXECUTE FUNCTION refuse_change_of_movement('awards_student_is_fixed');

CREATE TRIGGER billing_run_rows_set_updated_at BEFORE UPDATE ON billing_run_rows FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER billing_runs_are_audited AFTER INSERT OR DELETE OR UPDATE ON billing_runs FOR EACH ROW EXECUTE FUNCTION append_to_audit_log();

CREATE TRIGGER billing_runs_keep_their_kind BEFORE UPDATE OF kind ON billing_runs FOR EACH ROW WHEN ((new.kind <> old.kind)) EXECUTE FUNCTION refuse_change_of_movement('billing_runs_are_fixed');

CREATE TRIGGER billing_runs_never_truncated BEFORE TRUNCATE ON billing_runs FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

CREATE TRIGGER billing_runs_set_updated_at BEFORE UPDATE ON billing_runs FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER billing_runs_stay BEFORE UPDATE ON billing_runs FOR EACH ROW WHEN (((new.school_id <> old.school_id) OR (new.fee_plan_id <> old.fee_plan_id) OR (new.plan_version <> old.plan_version) OR (new.period <> old.period) OR (new.due_dates <> old.due_dates) OR (new.issued_at <> old.issued_at) OR (old.abandoned_at IS NOT NULL) OR ((old.committed_at IS NOT NULL) AND (new.committed_at IS DISTINCT FROM old.committed_at)))) EXECUTE FUNCTION refuse_change_of_movement('billing_runs_are_fixed');

CREATE TRIGGER billing_runs_take_their_numbers BEFORE UPDATE OF committed_at ON billing_runs FOR EACH ROW WHEN (((old.committed_at IS NULL) AND (new.committed_at IS NOT NULL) AND (new.invoices_count > 0))) EXECUTE FUNCTION number_run();

CREATE TRIGGER closed_periods_keep_invoices BEFORE INSERT OR DELETE OR UPDATE OF student_id, payer_id, total_amount, issued_at, due_date, description, voided_at, void_reason ON invoices FOR EACH ROW EXECUTE FUNCTION refuse_closed_period('issued_at');

CREATE TRIGGER closings_are_audited AFTER INSERT OR DELETE OR UPDATE ON closings FOR EACH ROW EXECUTE FUNCTION append_to_audit_log();

CREATE TRIGGER closings_close_a_period BEFORE INSERT ON closings FOR EACH ROW EXECUTE FUNCTION close_period();

CREATE TRIGGER closings_never_truncated BEFORE TRUNCATE ON closings FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

CREATE TRIGGER closings_set_updated_at BEFORE UPDATE ON closings FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER closings_stay BEFORE DELETE OR UPDATE ON closings FOR EACH ROW EXECUTE FUNCTION keep_closing();

CREATE TRIGGER document_counters_follow_documents BEFORE INSERT OR DELETE OR UPDATE ON document_counters FOR EACH ROW WHEN ((pg_trigger_depth() = 0)) EXECUTE FUNCTION keep_counter();

CREATE TRIGGER document_counters_never_truncated BEFORE TRUNCATE ON document_counters FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

CREATE TRIGGER document_counters_set_updated_at BEFORE UPDATE ON document_counters FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER fee_plan_items_are_audited AFTER INSERT OR DELETE OR UPDATE ON fee_plan_items FOR EACH ROW EXECUTE FUNCTION append_to_audit_log();

CREATE TRIGGER fee_plan_items_fit_the_currency AFTER INSERT ON fee_plan_items FOR EACH ROW WHEN (((new.amount <> trunc(new.amount)) OR (new.minimum <> trunc(new.minimum)))) EXECUTE FUNCTION refuse_cents();

CREATE TRIGGER fee_plan_items_never_truncated BEFORE TRUNCATE ON fee_plan_items FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

CREATE TRIGGER fee_plan_items_set_updated_at BEFORE UPDATE ON fee_plan_items FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER fee_plan_items_stay BEFORE UPDATE ON fee_plan_items FOR EACH ROW EXECUTE FUNCTION refuse_change_of_movement('fee_plan_items_are_fixed');

CREATE TRIGGER fee_plans_are_audited AFTER INSERT OR DELETE OR UPDATE ON fee_plans FOR EACH ROW EXECUTE FUNCTION append_to_audit_log();

CREATE TRIGGER fee_plans_keep_their_school BEFORE UPDATE OF school_id ON fee_plans FOR EACH ROW WHEN ((new.school_id <> old.school_id)) EXECUTE FUNCTION keep_school();

CREATE TRIGGER fee_plans_never_truncated BEFORE TRUNCATE ON fee_plans FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

CREATE TRIGGER fee_plans_set_updated_at BEFORE UPDATE ON fee_plans FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER idempotency_keys_set_updated_at BEFORE UPDATE ON idempotency_keys FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER invoice_lines_are_audited AFTER INSERT ON invoice_lines FOR EACH ROW WHEN ((NOT comes_with_its_invoice(new.id, new.invoice_id, new.school_id))) EXECUTE FUNCTION append_to_audit_log();

CREATE TRIGGER invoice_lines_changes_are_audited AFTER DELETE OR UPDATE ON invoice_lines FOR EACH ROW EXECUTE FUNCTION append_to_audit_log();

CREATE TRIGGER invoice_lines_fit_the_currency AFTER INSERT ON invoice_lines FOR EACH ROW WHEN ((new.amount <> trunc(new.amount))) EXECUTE FUNCTION refuse_cents();

CREATE TRIGGER invoice_lines_never_truncated BEFORE TRUNCATE ON invoice_lines FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

CREATE TRIGGER invoice_lines_set_updated_at BEFORE UPDATE ON invoice_lines FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER invoice_lines_stay BEFORE UPDATE ON invoice_lines FOR EACH ROW EXECUTE FUNCTION refuse_change_of_movement('invoice_lines_are_fixed');

CREATE CONSTRAINT TRIGGER invoice_lines_sum_to_total AFTER INSERT OR DELETE ON invoice_lines DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_other_lines();

CREATE TRIGGER invoices_adjusted_are_not_voided BEFORE UPDATE OF voided_at ON invoices FOR EACH ROW WHEN (((new.voided_at IS NOT NULL) AND (old.voided_at IS NULL) AND (((new.credited_total + new.discounted_total) + new.written_off_total) > (0)::numeric))) EXECUTE FUNCTION refuse_because_adjusted('invoices_adjusted_are_not_voided');

CREATE TRIGGER invoices_are_audited AFTER INSERT OR DELETE ON invoices FOR EACH ROW EXECUTE FUNCTION append_to_audit_log();

CREATE TRIGGER invoices_begin_unpaid BEFORE INSERT ON invoices FOR EACH ROW WHEN (((new.payments_total <> (0)::numeric) OR (new.refunds_total <> (0)::numeric) OR (new.credited_total <> (0)::numeric) OR (new.discounted_total <> (0)::numeric) OR (new.written_off_total <> (0)::numeric) OR (new.reversals_total <> (0)::numeric) OR (new.early_adjustment_id IS NOT NULL))) EXECUTE FUNCTION refuse_handwritten_total();

CREATE TRIGGER invoices_changes_are_audited AFTER UPDATE OF id, school_id, student_id, payer_id, number, total_amount, issued_at, due_date, description, voided_at, void_reason, billing_run_id, fee_plan_id, period, instalment, late_invoice_id, late_after_days, early_discount, early_until, created_at, updated_at ON invoices FOR EACH ROW EXECUTE FUNCTION append_to_audit_log();

CREATE TRIGGER invoices_come_with_the_commit_of_their_run BEFORE INSERT ON invoices FOR EACH ROW WHEN ((new.billing_run_id IS NOT NULL)) EXECUTE FUNCTION check_invoice_of_run();

CREATE TRIGGER invoices_fit_the_currency AFTER INSERT OR UPDATE OF total_amount ON invoices FOR EACH ROW WHEN (((new.total_amount <> trunc(new.total_amount)) OR (new.early_discount <> trunc(new.early_discount)))) EXECUTE FUNCTION refuse_cents();

CREATE TRIGGER invoices_have_possible_balances AFTER UPDATE ON invoices FOR EACH ROW WHEN (((new.refunds_total > (0)::numeric) OR (new.reversals_total > (0)::numeric))) EXECUTE FUNCTION refuse_impossible_balance();

CREATE TRIGGER invoices_issued_before_allocations AFTER UPDATE OF issued_at ON invoices FOR EACH ROW WHEN ((new.issued_at > old.issued_at)) EXECUTE FUNCTION keep_issue_before_allocations();

CREATE TRIGGER invoices_keep_their_late_invoice BEFORE UPDATE OF late_invoice_id, late_after_days ON invoices FOR EACH ROW WHEN (((new.late_invoice_id IS DISTINCT FROM old.late_invoice_id) OR (new.late_after_days IS DISTINCT FROM old.late_after_days))) EXECUTE FUNCTION refuse_change_of_movement('invoices_run_is_fixed');

CREATE TRIGGER invoices_keep_their_number BEFORE UPDATE OF number ON invoices FOR EACH ROW WHEN ((new.number IS DISTINCT FROM old.number)) EXECUTE FUNCTION refuse_change_of_movement('invoices_number_is_fixed');

CREATE TRIGGER invoices_keep_their_payer BEFORE UPDATE OF payer_id ON invoices FOR EACH ROW WHEN ((new.payer_id IS DISTINCT FROM old.payer_id)) EXECUTE FUNCTION refuse_change_of_movement('invoices_payer_is_fixed');

CREATE TRIGGER invoices_keep_their_run BEFORE UPDATE OF billing_run_id, fee_plan_id, period, instalment, early_discount, early_until ON invoices FOR EACH ROW WHEN (((new.billing_run_id IS DISTINCT FROM old.billing_run_id) OR (new.fee_plan_id IS DISTINCT FROM old.fee_plan_id) OR (new.period IS DISTINCT FROM old.period) OR (new.instalment IS DISTINCT FROM old.instalment) OR (new.early_discount IS DISTINCT FROM old.early_discount) OR (new.early_until IS DISTINCT FROM old.early_until))) EXECUTE FUNCTION refuse_change_of_movement('invoices_run_is_fixed');

CREATE TRIGGER invoices_never_truncated BEFORE TRUNCATE ON invoices FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

CREATE TRIGGER invoices_set_updated_at BEFORE UPDATE ON invoices FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER invoices_settle_their_early_discount AFTER UPDATE OF payments_total, refunds_total ON invoices FOR EACH ROW WHEN ((new.early_discount IS NOT NULL)) EXECUTE FUNCTION settle_early_discount();

CREATE TRIGGER invoices_take_their_number BEFORE INSERT ON invoices FOR EACH ROW WHEN ((new.billing_run_id IS NULL)) EXECUTE FUNCTION number_document('INVOICE');

CREATE CONSTRAINT TRIGGER invoices_total_follows_lines AFTER UPDATE OF total_amount ON invoices DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((new.total_amount <> old.total_amount)) EXECUTE FUNCTION refuse_other_lines();

CREATE TRIGGER invoices_totals_follow_payments BEFORE UPDATE OF payments_total, refunds_total, credited_total, discounted_total, written_off_total, reversals_total, early_adjustment_id ON invoices FOR EACH ROW WHEN ((pg_trigger_depth() = 0)) EXECUTE FUNCTION refuse_handwritten_total();

CREATE TRIGGER invoices_void_in_open_periods BEFORE INSERT OR UPDATE OF voided_at ON invoices FOR EACH ROW WHEN ((new.voided_at IS NOT NULL)) EXECUTE FUNCTION refuse_closed_period('voided_at');

CREATE TRIGGER invoices_with_number_stay BEFORE DELETE ON invoices FOR EACH ROW WHEN ((old.number IS NOT NULL)) EXECUTE FUNCTION refuse_change_of_movement('invoices_numbered_are_voided');

CREATE TRIGGER invoices_written_off_take_no_payments BEFORE UPDATE OF payments_total ON invoices FOR EACH ROW WHEN (((old.status = 'WRITTEN_OFF'::text) AND ((new.payments_total - new.refunds_total) > (old.payments_total - old.refunds_total)))) EXECUTE FUNCTION refuse_because_adjusted('invoices_written_off_take_no_payments', 'WRITE_OFF');

CREATE TRIGGER login_throttles_set_updated_at BEFORE UPDATE ON login_throttles FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER payers_are_audited AFTER INSERT OR DELETE OR UPDATE ON payers FOR EACH ROW EXECUTE FUNCTION append_to_audit_log();

CREATE TRIGGER payers_keep_their_school BEFORE UPDATE OF school_id ON payers FOR EACH ROW WHEN ((new.school_id <> old.school_id)) EXECUTE FUNCTION keep_school();

CREATE TRIGGER payers_never_truncated BEFORE TRUNCATE ON payers FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

CREATE TRIGGER payers_set_updated_at BEFORE UPDATE ON payers FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER payments_allocations_stay BEFORE DELETE OR UPDATE ON payments FOR EACH ROW WHEN ((old.receipt_id IS NOT NULL)) EXECUTE FUNCTION refuse_change_of_movement('payments_belong_to_receipt');

CREATE TRIGGER payments_are_audited AFTER INSERT OR DELETE OR UPDATE ON payments FOR EACH ROW EXECUTE FUNCTION append_to_audit_log();

CREATE TRIGGER payments_changes_move_invoice_totals AFTER UPDATE ON payments FOR EACH ROW WHEN (((new.invoice_id IS DISTINCT FROM old.invoice_id) OR (new.kind IS DISTINCT FROM old.kind) OR (new.amount IS DISTINCT FROM old.amount))) EXECUTE FUNCTION move_invoice_totals();

CREATE TRIGGER payments_fit_the_currency AFTER INSERT OR UPDATE OF amount ON payments FOR EACH ROW WHEN ((new.amount <> trunc(new.amount))) EXECUTE FUNCTION refuse_cents();

CREATE TRIGGER payments_keep_their_kind BEFORE UPDATE OF kind ON payments FOR EACH ROW WHEN ((new.kind <> old.kind)) EXECUTE FUNCTION keep_kind();

CREATE TRIGGER payments_keep_their_receipt BEFORE UPDATE OF receipt_id, reverses_id ON payments FOR EACH ROW WHEN (((new.receipt_id IS DISTINCT FROM old.receipt_id) OR (new.reverses_id IS DISTINCT FROM old.reverses_id))) EXECUTE FUNCTION refuse_change_of_movement('payments_belong_to_receipt');

CREATE TRIGGER payments_keep_their_school BEFORE UPDATE OF school_id ON payments FOR EACH ROW WHEN ((new.school_id <> old.school_id)) EXECUTE FUNCTION keep_school();

CREATE TRIGGER payments_keep_to_open_periods BEFORE INSERT OR DELETE OR UPDATE ON payments FOR EACH ROW EXECUTE FUNCTION refuse_closed_period('paid_at');

CREATE TRIGGER payments_leave_possible_balances AFTER UPDATE OF paid_at ON payments FOR EACH ROW WHEN ((new.paid_at <> old.paid_at)) EXECUTE FUNCTION refuse_impossible_balance();

CREATE TRIGGER payments_move_invoice_totals AFTER INSERT OR DELETE ON payments FOR EACH ROW EXECUTE FUNCTION move_invoice_totals();

CREATE TRIGGER payments_never_truncated BEFORE TRUNCATE ON payments FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

CREATE TRIGGER payments_set_updated_at BEFORE UPDATE ON payments FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER payments_settle_early_discounts AFTER UPDATE OF paid_at ON payments FOR EACH ROW WHEN ((new.paid_at <> old.paid_at)) EXECUTE FUNCTION settle_early_discount();

CREATE TRIGGER receipt_refunds_are_audited AFTER INSERT OR DELETE OR UPDATE ON receipt_refunds FOR EACH ROW EXECUTE FUNCTION append_to_audit_log();

CREATE TRIGGER receipt_refunds_fit_the_currency AFTER INSERT ON receipt_refunds FOR EACH ROW WHEN ((new.amount <> trunc(new.amount))) EXECUTE FUNCTION refuse_cents();

CREATE TRIGGER receipt_refunds_keep_to_open_periods BEFORE INSERT ON receipt_refunds FOR EACH ROW EXECUTE FUNCTION refuse_closed_period('refunded_at');

CREATE TRIGGER receipt_refunds_move_receipt_totals AFTER INSERT ON receipt_refunds FOR EACH ROW EXECUTE FUNCTION move_receipt_refunds();

CREATE TRIGGER receipt_refunds_never_truncated BEFORE TRUNCATE ON receipt_refunds FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

CREATE TRIGGER receipt_refunds_set_updated_at BEFORE UPDATE ON receipt_refunds FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER receipt_refunds_stay BEFORE DELETE OR UPDATE ON receipt_refunds FOR EACH ROW EXECUTE FUNCTION refuse_change_of_movement('receipt_refunds_are_fixed');

CREATE TRIGGER receipts_are_audited AFTER INSERT OR DELETE ON receipts FOR EACH ROW EXECUTE FUNCTION append_to_audit_log();

CREATE CONSTRAINT TRIGGER receipts_begin_with_their_payments AFTER INSERT ON receipts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (((new.allocated_total <> (0)::numeric) OR (new.refunded_total <> (0)::numeric))) EXECUTE FUNCTION refuse_unspent_total();

CREATE TRIGGER receipts_changes_are_audited AFTER UPDATE ON receipts FOR EACH ROW WHEN (((new.allocated_total = old.allocated_total) AND (new.refunded_total = old.refunded_total))) EXECUTE FUNCTION append_to_audit_log();

CREATE TRIGGER receipts_fit_the_currency AFTER INSERT ON receipts FOR EACH ROW WHEN ((new.amount <> trunc(new.amount))) EXECUTE FUNCTION refuse_cents();

CREATE TRIGGER receipts_keep_their_number BEFORE UPDATE OF number ON receipts FOR EACH ROW WHEN ((new.number IS DISTINCT FROM old.number)) EXECUTE FUNCTION refuse_change_of_movement('receipts_are_fixed');

CREATE TRIGGER receipts_keep_to_open_periods BEFORE INSERT OR DELETE OR UPDATE OF amount, method, reference, source, external_reference, received_at ON receipts FOR EACH ROW EXECUTE FUNCTION refuse_closed_period('received_at');

CREATE TRIGGER receipts_never_truncated BEFORE TRUNCATE ON receipts FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

CREATE TRIGGER receipts_reverse_in_open_periods BEFORE INSERT OR UPDATE OF reversed_at, reverse_reason ON receipts FOR EACH ROW WHEN ((new.reversed_at IS NOT NULL)) EXECUTE FUNCTION refuse_closed_period('reversed_at');

CREATE CONSTRAINT TRIGGER receipts_reversed_pay_nothing AFTER INSERT OR UPDATE ON receipts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((new.reversed_at IS NOT NULL)) EXECUTE FUNCTION refuse_spent_reversal();

CREATE TRIGGER receipts_set_updated_at BEFORE UPDATE ON receipts FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER receipts_stay BEFORE UPDATE OF school_id, payer_id, amount, received_at, source, external_reference, reversed_at ON receipts FOR EACH ROW WHEN (((new.school_id <> old.school_id) OR (new.amount <> old.amount) OR (new.received_at <> old.received_at) OR (new.source IS DISTINCT FROM old.source) OR (new.external_reference IS DISTINCT FROM old.external_reference) OR ((old.reversed_at IS NOT NULL) AND (new.reversed_at IS DISTINCT FROM old.reversed_at)) OR ((old.reversed_at IS NOT NULL) AND (new.payer_id IS DISTINCT FROM old.payer_id)))) EXECUTE FUNCTION refuse_change_of_movement('receipts_are_fixed');

CREATE TRIGGER receipts_take_their_number BEFORE INSERT ON receipts FOR EACH ROW EXECUTE FUNCTION number_document('RECEIPT');

CREATE TRIGGER receipts_totals_follow_movements BEFORE UPDATE ON receipts FOR EACH ROW WHEN (((pg_trigger_depth() = 0) AND ((new.allocated_total <> old.allocated_total) OR (new.refunded_total <> old.refunded_total)))) EXECUTE FUNCTION refuse_handwritten_total('receipts_totals_follow_movements');

CREATE TRIGGER receipts_with_number_stay BEFORE DELETE ON receipts FOR EACH ROW WHEN ((old.number IS NOT NULL)) EXECUTE FUNCTION refuse_change_of_movement('receipts_are_fixed');

CREATE TRIGGER refresh_tokens_set_updated_at BEFORE UPDATE ON refresh_tokens FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER schools_are_audited AFTER INSERT OR DELETE OR UPDATE ON schools FOR EACH ROW EXECUTE FUNCTION append_to_audit_log();

CREATE TRIGGER schools_keep_their_currency BEFORE UPDATE OF currency ON schools FOR EACH ROW WHEN ((new.currency <> old.currency)) EXECUTE FUNCTION keep_currency();

CREATE TRIGGER schools_keep_their_invoice_prefix BEFORE UPDATE OF invoice_prefix ON schools FOR EACH ROW WHEN (((old.invoice_prefix IS NOT NULL) AND (new.invoice_prefix IS DISTINCT FROM old.invoice_prefix))) EXECUTE FUNCTION keep_invoice_prefix();

CREATE TRIGGER schools_never_truncated BEFORE TRUNCATE ON schools FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

CREATE TRIGGER schools_set_updated_at BEFORE UPDATE ON schools FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER sessions_set_updated_at BEFORE UPDATE ON sessions FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER student_payers_are_audited AFTER INSERT OR DELETE OR UPDATE ON student_payers FOR EACH ROW EXECUTE FUNCTION append_to_audit_log();

CREATE TRIGGER student_payers_never_truncated BEFORE TRUNCATE ON student_payers FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

CREATE TRIGGER student_payers_set_updated_at BEFORE UPDATE ON student_payers FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER student_payers_stay BEFORE UPDATE OF student_id, payer_id, school_id ON student_payers FOR EACH ROW WHEN (((new.student_id <> old.student_id) OR (new.payer_id <> old.payer_id) OR (new.school_id <> old.school_id))) EXECUTE FUNCTION refuse_change_of_movement('student_payers_are_fixed');

CREATE CONSTRAINT TRIGGER student_payers_sum_to_100 AFTER INSERT OR DELETE OR UPDATE ON student_payers DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_partial_shares();

CREATE TRIGGER students_are_audited AFTER INSERT OR DELETE OR UPDATE ON students FOR EACH ROW EXECUTE FUNCTION append_to_audit_log();

CREATE TRIGGER students_never_truncated BEFORE TRUNCATE ON students FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

CREATE TRIGGER students_set_updated_at BEFORE UPDATE ON students FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER users_are_audited AFTER INSERT OR DELETE OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION append_to_audit_log();

CREATE TRIGGER users_keep_their_school BEFORE UPDATE OF school_id ON users FOR EACH ROW WHEN ((new.school_id IS DISTINCT FROM old.school_id)) EXECUTE FUNCTION keep_school();

CREATE TRIGGER users_never_truncated BEFORE TRUNCATE ON users FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

CREATE TRIGGER users_one_administrator_is_not_deleted BEFORE DELETE ON users FOR EACH ROW WHEN (((old.role = 'admin'::text) AND (old.school_id IS NULL) AND (old.disabled_at IS NULL))) EXECUTE FUNCTION keep_an_administrator();

CREATE TRIGGER users_one_administrator_stays BEFORE UPDATE OF role, disabled_at ON users FOR EACH ROW WHEN (((old.role = 'admin'::text) AND (old.school_id IS NULL) AND (old.disabled_at IS NULL) AND ((new.role <> 'admin'::text) OR (new.disabled_at IS NOT NULL)))) EXECUTE FUNCTION keep_an_administrator();

CREATE TRIGGER users_set_updated_at BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE ONLY adjustment_lines
    ADD CONSTRAINT adjustment_lines_adjustment_id_fkey FOREIGN KEY (adjustment_id, school_id) REFERENCES adjustments(id, school_id) ON DELETE RESTRICT;

ALTER TABLE ONLY adjustments
    ADD CONSTRAINT adjustments_invoice_id_fkey FOREIGN KEY (invoice_id, school_id) REFERENCES invoices(id, school_id) ON DELETE RESTRICT;

ALTER TABLE ONLY adjustments
    ADD CONSTRAINT adjustments_reverses_id_fkey FOREIGN KEY (reverses_id, school_id) REFERENCES adjustments(id, school_id) ON DELETE RESTRICT;

ALTER TABLE ONLY api_keys
    ADD CONSTRAINT api_keys_school_id_fkey FOREIGN KEY (school_id) REFERENCES schools(id) ON DELETE RESTRICT;

ALTER TABLE ONLY awards
    ADD CONSTRAINT awards_student_id_fkey FOREIGN KEY (student_id, school_id) REFERENCES students(id, school_id) ON DELETE RESTRICT;

ALTER TABLE ONLY billing_run_rows
    ADD CONSTRAINT billing_run_rows_billing_run_id_fkey FOREIGN KEY (billing_run_id, school_id) REFERENCES billing_runs(id, school_id) ON DELETE RESTRICT;

ALTER TABLE ONLY billing_run_rows
    ADD CONSTRAINT billing_run_rows_student_id_fkey FOREIGN KEY (student_id, school_id) REFERENCES students(id, school_id) ON DELETE RESTRICT;

ALTER TABLE ONLY billing_runs
    ADD CONSTRAINT billing_runs_fee_plan_id_fkey FOREIGN KEY (fee_plan_id, school_id) REFERENCES fee_plans(id, school_id) ON DELETE RESTRICT;

ALTER TABLE ONLY closings
    ADD CONSTRAINT closings_school_id_fkey FOREIGN KEY (school_id) REFERENCES schools(id) ON DELETE RESTRICT;

ALTER TABLE ONLY document_counters
    ADD CONSTRAINT document_counters_school_id_fkey FOREIGN KEY (school_id) REFERENCES schools(id) ON DELETE RESTRICT;

ALTER TABLE ONLY fee_plan_items
    ADD CONSTRAINT fee_plan_items_fee_plan_id_fkey FOREIGN KEY (fee_plan_id, school_id) REFERENCES fee_plans(id, school_id) ON DELETE RESTRICT;

ALTER TABLE ONLY fee_plans
    ADD CONSTRAINT fee_plans_school_id_fkey FOREIGN KEY (school_id) REFERENCES schools(id) ON DELETE RESTRICT;

ALTER TABLE ONLY invoice_lines
    ADD CONSTRAINT invoice_lines_invoice_id_fkey FOREIGN KEY (invoice_id, school_id) REFERENCES invoices(id, school_id) ON DELETE RESTRICT;

ALTER TABLE ONLY invoices
    ADD CONSTRAINT invoices_billing_run_id_fkey FOREIGN KEY (billing_run_id, school_id, fee_plan_id, period) REFERENCES billing_runs(id, school_id, fee_plan_id, period) ON DELETE RESTRICT;

ALTER TABLE ONLY invoices
    ADD CONSTRAINT invoices_early_adjustment_id_fkey FOREIGN KEY (early_adjustment_id, school_id) REFERENCES adjustments(id, school_id) ON DELETE RESTRICT;

ALTER TABLE ONLY invoices
    ADD CONSTRAINT invoices_late_invoice_id_fkey FOREIGN KEY (late_invoice_id, school_id) REFERENCES invoices(id, school_id) ON DELETE RESTRICT;

ALTER TABLE ONLY invoices
    ADD CONSTRAINT invoices_payer_id_fkey FOREIGN KEY (payer_id, school_id) REFERENCES payers(id, school_id) ON DELETE RESTRICT;

ALTER TABLE ONLY invoices
    ADD CONSTRAINT invoices_student_id_fkey FOREIGN KEY (student_id, school_id) REFERENCES students(id, school_id) ON DELETE RESTRICT;

ALTER TABLE ONLY payers
    ADD CONSTRAINT payers_school_id_fkey FOREIGN KEY (school_id) REFERENCES schools(id) ON DELETE RESTRICT;

ALTER TABLE ONLY payments
    ADD CONSTRAINT payments_invoice_id_fkey FOREIGN KEY (invoice_id, school_id) REFERENCES invoices(id, school_id) ON DELETE RESTRICT;

ALTER TABLE ONLY payments
    ADD CONSTRAINT payments_receipt_id_fkey FOREIGN KEY (receipt_id, school_id) REFERENCES receipts(id, school_id) ON DELETE RESTRICT;

ALTER TABLE ONLY payments
    ADD CONSTRAINT payments_reverses_id_fkey FOREIGN KEY (reverses_id, school_id) REFERENCES payments(id, school_id) ON DELETE RESTRICT;

ALTER TABLE ONLY receipt_refunds
    ADD CONSTRAINT receipt_refunds_receipt_id_fkey FOREIGN KEY (receipt_id, school_id) REFERENCES receipts(id, school_id) ON DELETE RESTRICT;

ALTER TABLE ONLY receipts
    ADD CONSTRAINT receipts_payer_id_fkey FOREIGN KEY (payer_id, school_id) REFERENCES payers(id, school_id) ON DELETE RESTRICT;

ALTER TABLE ONLY receipts
    ADD CONSTRAINT receipts_school_id_fkey FOREIGN KEY (school_id) REFERENCES schools(id) ON DELETE RESTRICT;

ALTER TABLE ONLY refresh_tokens
    ADD CONSTRAINT refresh_tokens_session_id_fkey FOREIGN KEY (session_id) REFERENCES sessions(id) ON DELETE RESTRICT;

ALTER TABLE ONLY sessions
    ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE RESTRICT;

ALTER TABLE ONLY student_payers
    ADD CONSTRAINT student_payers_payer_id_fkey FOREIGN KEY (payer_id, school_id) REFERENCES payers(id, school_id) ON DELETE RESTRICT;

ALTER TABLE ONLY student_payers
    ADD CONSTRAINT student_payers_student_id_fkey FOREIGN KEY (student_id, school_id) REFERENCES students(id, school_id) ON DELETE RESTRICT;

ALTER TABLE ONLY students
    ADD CONSTRAINT students_school_id_fkey FOREIGN KEY (school_id) REFERENCES schools(id) ON DELETE RESTRICT;

ALTER TABLE ONLY users
    ADD CONSTRAINT users_school_id_fkey FOREIGN KEY (school_id) REFERENCES schools(id) ON DELETE RESTRICT;

