-- Months that nobody changes any more: what is dated on or before the last closed day is not made, changed, moved or
-- deleted, not even by psql. A closing keeps the figures of its period, which are computed from the entries of accounts
-- and receipts, and a check refuses figures that do not tie.
set local lock_timeout = '2s';

-- The roll-forward of a school: one row. `bucket_0` to `bucket_4` are what is open on invoices, by its age on the last day.
--
-- Cash is direct payments and receipts. What a receipt pays on invoices moves no balance: it is less on the invoice and
-- less of the receipt at one moment. Receipts that are reversed count as refunded.
create or replace function roll_forward_of(school uuid, opens_at timestamptz, closes_at timestamptz, closes_on date)
  returns table (
    opening_balance numeric, invoiced numeric, credited numeric, discounted numeric, written_off numeric,
    received numeric, refunded numeric, voided numeric, closing_balance numeric,
    bucket_0 numeric, bucket_1 numeric, bucket_2 numeric, bucket_3 numeric, bucket_4 numeric, unallocated numeric
  )
  language plpgsql stable rows 1
  set search_path = public, pg_temp
  -- A plan for all schools and periods would look up the invoices of a large one by one.
  set plan_cache_mode = force_custom_plan
  as $function$
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
  $function$;

create table if not exists closings (
  id uuid not null default uuidv7(),
  school_id uuid not null,
  -- The last closed day. The period begins on the day after the closing before it, and the first one at the beginning.
  starts_on date,
  through date not null,
  -- Its first and last moment. They stay, even if the school moves to another time zone.
  opens_at timestamptz not null,
  closes_at timestamptz not null,
  reason text,
  opening_balance numeric(18, 2) not null,
  invoiced numeric(18, 2) not null,
  credited numeric(18, 2) not null,
  discounted numeric(18, 2) not null,
  written_off numeric(18, 2) not null,
  received numeric(18, 2) not null,
  refunded numeric(18, 2) not null,
  voided numeric(18, 2) not null,
  closing_balance numeric(18, 2) not null,
  bucket_0 numeric(18, 2) not null,
  bucket_1 numeric(18, 2) not null,
  bucket_2 numeric(18, 2) not null,
  bucket_3 numeric(18, 2) not null,
  bucket_4 numeric(18, 2) not null,
  unallocated numeric(18, 2) not null,
  -- The last sealed entry of the school's audit trail; null if none was sealed.
  audit_position bigint,
  audit_hash bytea,
  reopened_at timestamptz,
  reopen_reason text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint closings_pkey primary key (id, school_id),
  constraint closings_school_id_fkey foreign key (school_id) references schools (id) on delete restrict,
  constraint closings_through_in_calendar check (through between '1900-01-01' and '2999-12-31'),
  constraint closings_reason_length check (char_length(reason) between 1 and 500),
  constraint closings_reason_plain check (is_plain_text(reason)),
  constraint closings_reopen_reason_length check (char_length(reopen_reason) between 1 and 500),
  constraint closings_reopen_reason_plain check (is_plain_text(reopen_reason)),
  constraint closings_reopened_has_reason check ((reopened_at is null) = (reopen_reason is null)),
  constraint closings_tie check (
    opening_balance + invoiced - credited - discounted - written_off - received + refunded - voided = closing_balance
    and bucket_0 + bucket_1 + bucket_2 + bucket_3 + bucket_4 - unallocated = closing_balance
  )
);

-- No two closings of one day; also the index by which each write finds the last closed day.
create unique index if not exists closings_through_key on closings (school_id, through) where reopened_at is null;
-- A school's closings, ordered by id; also the index of the foreign key.
create index if not exists closings_school_id_id_idx on closings (school_id, id);

-- The first day that begins after a moment. It may be another one than the day after the closing, if the school moved to
-- another time zone.
create or replace function first_open_day(closed_until timestamptz, time_zone text) returns date
  language sql stable parallel safe
  return (closed_until at time zone time_zone)::date
    + case when start_of_day((closed_until at time zone time_zone)::date, time_zone) > closed_until then 0 else 1 end;

-- Closes a period: the row says the school, the last day and the reason, and this fills in the rest.
create or replace function close_period() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
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
                constraint = 'closings_go_forward',
                table = 'closings',
                detail = json_build_object(
                  'closing_id', last.id, 'through', last.through, 'earliest_open_date', first_open_day(last.closes_at, zone)
                );
      end if;
      if new.closes_at >= now() then
        raise exception '% is not over in %', new.through, zone
          using errcode = 'integrity_constraint_violation', constraint = 'closings_day_is_over', table = 'closings';
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
  $function$;

-- A closing stays as it is. The latest one may be reopened, once.
create or replace function keep_closing() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    begin
      if tg_op = 'DELETE' or old.reopened_at is not null or new.reopened_at is null
         or to_jsonb(new) - array['reopened_at', 'reopen_reason', 'updated_at']
            <> to_jsonb(old) - array['reopened_at', 'reopen_reason', 'updated_at']
      then
        raise exception 'closing % stays as it is', old.id
          using errcode = 'integrity_constraint_violation', constraint = 'closings_are_fixed', table = 'closings';
      end if;
      perform pg_advisory_xact_lock(uuid_hash_extended(old.school_id, 0));
      if exists (
        select 1 from closings where school_id = old.school_id and reopened_at is null and through > old.through
      ) then
        raise exception 'closing % has a later one', old.id
          using errcode = 'integrity_constraint_violation',
                constraint = 'closings_reopen_the_latest',
                table = 'closings';
      end if;
      return new;
    end
  $function$;

-- Refuses a row that is, or was, dated in a closed period. The trigger's argument names the column with the date.
--
-- It sets no search_path, and assigns where it could PERFORM, because each payment pays for it; so it names the schema.
create or replace function refuse_closed_period() returns trigger
  language plpgsql
  as $function$
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
        from public.closings
        where school_id = school and reopened_at is null
        order by through desc
        limit 1;
        if dated_at <= closed_until then
          raise exception '% of % lies in a closed period', tg_argv[0], tg_table_name
            using errcode = 'integrity_constraint_violation',
                  constraint = 'closed_periods_stay',
                  table = tg_table_name,
                  detail = json_build_object(
                    'earliest_open_date',
                    public.first_open_day(closed_until, (select time_zone from public.schools where id = school))
                  );
        end if;
      end if;
      if tg_op = 'DELETE' then
        return old;
      end if;
      return new;
    end
  $function$;

-- The receipts of a school with money that pays nothing yet, received until a moment: the 100 oldest, as JSON. It is volatile
-- so that it sees what was committed while the statement waited for a lock.
create or replace function open_receipts_of(school uuid, received_until timestamptz) returns jsonb
  language plpgsql
  set search_path = public, pg_temp
  as $function$
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
  $function$;

create or replace trigger closings_close_a_period
  before insert on closings
  for each row execute function close_period();

create or replace trigger closings_stay
  before update or delete on closings
  for each row execute function keep_closing();

create or replace trigger closings_set_updated_at
  before update on closings
  for each row execute function set_updated_at();

create or replace trigger closings_are_audited
  after insert or update or delete on closings
  for each row execute function append_to_audit_log();

create or replace trigger closings_never_truncated
  before truncate on closings
  for each statement execute function refuse_truncate();

-- An update of the totals alone is none of these columns: money of today pays what was invoiced long ago. Triggers run in the
-- order of their names, and this comes first, because no advice of the others helps in a closed period.
create or replace trigger closed_periods_keep_invoices
  before insert or delete or update of
    student_id, payer_id, total_amount, issued_at, due_date, description, voided_at, void_reason
  on invoices
  for each row execute function refuse_closed_period('issued_at');

create or replace trigger invoices_void_in_open_periods
  before insert or update of voided_at on invoices
  for each row when (new.voided_at is not null)
  execute function refuse_closed_period('voided_at');

create or replace trigger payments_keep_to_open_periods
  before insert or update or delete on payments
  for each row execute function refuse_closed_period('paid_at');

-- Whose the money is, and what it pays, may be found out later.
create or replace trigger receipts_keep_to_open_periods
  before insert or delete or update of amount, method, reference, source, external_reference, received_at on receipts
  for each row execute function refuse_closed_period('received_at');

create or replace trigger receipts_reverse_in_open_periods
  before insert or update of reversed_at, reverse_reason on receipts
  for each row when (new.reversed_at is not null)
  execute function refuse_closed_period('reversed_at');

create or replace trigger adjustments_keep_to_open_periods
  before insert on adjustments
  for each row execute function refuse_closed_period('adjusted_at');

create or replace trigger receipt_refunds_keep_to_open_periods
  before insert on receipt_refunds
  for each row execute function refuse_closed_period('refunded_at');
