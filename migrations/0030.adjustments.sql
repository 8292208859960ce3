-- What is owed less on an invoice, without money: credit notes, discounts and write-offs, and the totals that follow.
--
-- contract: balance_due and status are generated anew; triggers and constraints are dropped only to be added again
set local lock_timeout = '2s';

-- The status of an invoice. Left over is nothing if it is WRITTEN_OFF, CREDITED or PAID.
create or replace function invoice_status(
  is_void boolean, paid_total numeric, total_amount numeric, credited numeric, written_off numeric
) returns text
  language sql immutable parallel safe
  return case
    when is_void then 'VOID'
    when paid_total + credited + written_off < total_amount
      then case when paid_total <= 0 then 'PENDING' else 'PARTIAL' end
    when written_off > 0 then 'WRITTEN_OFF'
    when paid_total <= 0 then 'CREDITED'
    else 'PAID'
  end;

-- This trigger reads a column that is dropped and added again.
drop trigger if exists invoices_written_off_take_no_payments on invoices;
-- The expression of a generated column cannot change without a rewrite of the table; all of this is one. It takes
-- about half a minute for a million invoices, which are locked meanwhile.
alter table invoices
  drop column if exists balance_due,
  drop column if exists status,
  -- Credit notes, discounts and write-offs, less what was reversed of each.
  add column if not exists credited_total numeric(18, 2) not null default 0,
  add column if not exists discounted_total numeric(18, 2) not null default 0,
  add column if not exists written_off_total numeric(18, 2) not null default 0,
  -- All that was reversed. Above zero, the balance of a past moment may be impossible although that of now is not.
  add column if not exists reversals_total numeric(18, 2) not null default 0,
  -- squawk-ignore adding-field-with-default
  add column balance_due numeric(18, 2) not null generated always as (
    case
      when voided_at is null
      then total_amount - payments_total + refunds_total - credited_total - discounted_total - written_off_total
      else 0
    end
  ) stored,
  -- squawk-ignore adding-field-with-default
  add column status text not null generated always as (
    invoice_status(
      voided_at is not null, payments_total - refunds_total, total_amount, credited_total + discounted_total,
      written_off_total
    )
  ) stored,
  drop constraint if exists invoices_adjustments_not_negative,
  -- squawk-ignore constraint-missing-not-valid
  add constraint invoices_adjustments_not_negative check (
    credited_total >= 0 and discounted_total >= 0 and written_off_total >= 0 and reversals_total >= 0
  ),
  drop constraint if exists invoices_none_adjusted_when_void,
  -- squawk-ignore constraint-missing-not-valid
  add constraint invoices_none_adjusted_when_void check (
    voided_at is null or credited_total + discounted_total + written_off_total = 0
  ),
  -- As before, and what is credited, discounted and written off counts as well.
  drop constraint if exists invoices_paid_at_most_total,
  -- squawk-ignore constraint-missing-not-valid
  add constraint invoices_paid_at_most_total check (
    payments_total - refunds_total + credited_total + discounted_total + written_off_total <= total_amount
  );

create table if not exists adjustments (
  id uuid not null default uuidv7(),
  school_id uuid not null,
  invoice_id uuid not null,
  -- The adjustment that this one takes back; null if it is none.
  reverses_id uuid,
  kind text not null,
  -- Of a credit note, if the school had a prefix when it was made.
  number text,
  amount numeric(12, 2) not null,
  reason text not null,
  adjusted_at timestamptz not null default now(),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint adjustments_pkey primary key (id, school_id),
  constraint adjustments_invoice_id_fkey foreign key (invoice_id, school_id)
    references invoices (id, school_id) on delete restrict,
  constraint adjustments_reverses_id_fkey foreign key (reverses_id, school_id)
    references adjustments (id, school_id) on delete restrict,
  constraint adjustments_kind_known check (kind in ('CREDIT_NOTE', 'DISCOUNT', 'WRITE_OFF')),
  constraint adjustments_amount_positive check (amount > 0 and amount <> 'NaN'),
  constraint adjustments_reason_length check (char_length(reason) between 1 and 500),
  constraint adjustments_reason_plain check (is_plain_text(reason)),
  -- updated_at is the time of the transaction, so this means "not in the future".
  constraint adjustments_adjusted_at_not_in_future check (adjusted_at <= updated_at)
);

-- An invoice's adjustments; also the index of the foreign key.
create index if not exists adjustments_invoice_id_school_id_idx on adjustments (invoice_id, school_id);
-- A school's adjustments, ordered by id.
create index if not exists adjustments_school_id_id_idx on adjustments (school_id, id);
-- A school's adjustments of a period.
create index if not exists adjustments_school_id_adjusted_at_idx on adjustments (school_id, adjusted_at);
-- An adjustment is reversed at most once.
create unique index if not exists adjustments_reverses_id_key on adjustments (reverses_id, school_id)
  where reverses_id is not null;
create unique index if not exists adjustments_number_key on adjustments (number, school_id) where number is not null;

-- What a credit note is made of: lines that sum to its amount. They are made with it, and stay as they are.
create table if not exists adjustment_lines (
  id uuid not null default uuidv7(),
  school_id uuid not null,
  adjustment_id uuid not null,
  position int not null,
  description text not null,
  category text,
  amount numeric(12, 2) not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint adjustment_lines_pkey primary key (id, school_id),
  -- Also the index of the foreign key.
  constraint adjustment_lines_position_key unique (adjustment_id, school_id, position),
  constraint adjustment_lines_adjustment_id_fkey foreign key (adjustment_id, school_id)
    references adjustments (id, school_id) on delete restrict,
  constraint adjustment_lines_position_in_range check (position between 1 and 100),
  constraint adjustment_lines_description_length check (char_length(description) between 1 and 255),
  constraint adjustment_lines_description_plain check (is_plain_text(description) and position(E'\n' in description) = 0),
  constraint adjustment_lines_category_length check (char_length(category) between 1 and 50),
  constraint adjustment_lines_category_plain check (is_plain_text(category) and position(E'\n' in category) = 0),
  constraint adjustment_lines_amount_is_number check (amount <> 'NaN')
);

-- The lines of an adjustment as JSON, as every statement shows them.
create or replace function lines_of_adjustment(adjustment uuid, school uuid) returns jsonb
  language plpgsql stable
  set search_path = public, pg_temp
  as $function$
    begin
      return (
        select coalesce(jsonb_agg(to_jsonb(line) order by line.position), '[]')
        from adjustment_lines
        cross join lateral (select position, description, category, amount) as line
        where adjustment_id = adjustment and school_id = school
      );
    end
  $function$;

-- Refuses a commit after which the lines of an adjustment would not sum to its amount, or after which it had gained lines.
create or replace function refuse_other_adjustment_lines() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
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
                constraint = 'adjustment_lines_sum_to_amount',
                table = 'adjustment_lines';
      end if;
      return null;
    end
  $function$;

-- Moves the totals of the invoice. Its checks refuse more than is open. Only the whole of an adjustment is taken back, and
-- nothing is dated before what it changes.
create or replace function move_adjusted_totals() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    declare
      change numeric := case when new.reverses_id is null then new.amount else -new.amount end;
      earliest timestamptz;
    begin
      update invoices
      set credited_total = credited_total + case new.kind when 'CREDIT_NOTE' then change else 0 end,
          discounted_total = discounted_total + case new.kind when 'DISCOUNT' then change else 0 end,
          written_off_total = written_off_total + case new.kind when 'WRITE_OFF' then change else 0 end,
          reversals_total = reversals_total + greatest(-change, 0)
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
                  constraint = 'adjustments_reverse_a_whole_adjustment',
                  table = 'adjustments';
        end if;
      end if;
      if new.adjusted_at < earliest then
        raise exception 'adjustment % is dated %, before %', new.id, new.adjusted_at, earliest
          using errcode = 'integrity_constraint_violation',
                constraint = 'adjustments_follow_invoice',
                table = 'adjustments';
      end if;
      return null;
    end
  $function$;

-- Refuses a change of an invoice that an adjustment forbids, and tells the newest one that is to be reversed first. The
-- trigger's arguments are the name of the constraint and the kind of the adjustment, or no kind.
create or replace function refuse_because_adjusted() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
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
              constraint = tg_argv[0],
              table = 'invoices',
              detail = json_build_object('adjustment_id', adjustment);
    end
  $function$;

-- Takes allocations of the invoice back to their receipts, the youngest first, until `wanted` is open on it. What is taken
-- too much of the last one is allocated again. The receipts are locked before the invoice, as everywhere.
create or replace function release_allocations(
  invoice uuid, school uuid, wanted numeric, dated_at timestamptz, why text
) returns boolean
  language plpgsql
  set search_path = public, pg_temp
  as $function$
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
                constraint = 'adjustments_release_receipts_only',
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
  $function$;

-- As before, also for what is reversed on the invoice. What is adjusted makes no room for more refunds.
create or replace function refuse_impossible_balance() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
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
                constraint = 'invoices_paid_at_most_total_on_every_day',
                table = 'invoices',
                detail = facts;
      end if;
      raise exception 'more would be refunded than paid on invoice % at %', invoice.id, wrong.happened_at
        using errcode = 'integrity_constraint_violation',
              constraint = 'invoices_refunded_at_most_paid_on_every_day',
              table = 'invoices',
              detail = facts || jsonb_build_object('beyond', amount_text(wrong.refunded_beyond));
    end
  $function$;

-- As before, and not after an adjustment either.
create or replace function keep_issue_before_allocations() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    begin
      if exists (
        select 1
        from payments
        where invoice_id = new.id and school_id = new.school_id and receipt_id is not null and paid_at < new.issued_at
      ) then
        raise exception 'money was allocated to invoice % before %', new.id, new.issued_at
          using errcode = 'integrity_constraint_violation',
                constraint = 'invoices_issued_before_allocations',
                table = 'invoices';
      end if;
      if exists (
        select 1
        from adjustments
        where invoice_id = new.id and school_id = new.school_id and adjusted_at < new.issued_at
      ) then
        raise exception 'invoice % was adjusted before %', new.id, new.issued_at
          using errcode = 'integrity_constraint_violation',
                constraint = 'invoices_issued_before_adjustments',
                table = 'invoices';
      end if;
      return null;
    end
  $function$;

-- As before, and the last adjustment counts as well.
create or replace function last_payment_of(invoice uuid, school uuid) returns timestamptz
  language plpgsql stable
  set search_path = public, pg_temp
  as $function$
    begin
      return least(
        greatest(
          (select max(paid_at) from payments where invoice_id = invoice and school_id = school),
          (select max(adjusted_at) from adjustments where invoice_id = invoice and school_id = school)
        ),
        now()
      );
    end
  $function$;

create or replace trigger adjustments_stay
  before update or delete on adjustments
  for each row execute function refuse_change_of_movement('adjustments_are_fixed');
create or replace trigger adjustments_take_their_number
  before insert on adjustments
  for each row when (new.number is not null or (new.kind = 'CREDIT_NOTE' and new.reverses_id is null))
  execute function number_document('CREDIT_NOTE');
create or replace trigger adjustments_move_invoice_totals
  after insert on adjustments
  for each row execute function move_adjusted_totals();
create or replace trigger adjustments_fit_the_currency
  after insert on adjustments
  for each row when (new.amount <> trunc(new.amount))
  execute function refuse_cents();
create or replace trigger adjustments_set_updated_at
  before update on adjustments
  for each row execute function set_updated_at();
create or replace trigger adjustments_are_audited
  after insert or update or delete on adjustments
  for each row execute function append_to_audit_log();
create or replace trigger adjustments_never_truncated
  before truncate on adjustments
  for each statement execute function refuse_truncate();

drop trigger if exists adjustment_lines_sum_to_amount on adjustment_lines;
create constraint trigger adjustment_lines_sum_to_amount
  after insert on adjustment_lines
  deferrable initially deferred
  for each row execute function refuse_other_adjustment_lines();
create or replace trigger adjustment_lines_stay
  before update or delete on adjustment_lines
  for each row execute function refuse_change_of_movement('adjustment_lines_are_fixed');
create or replace trigger adjustment_lines_fit_the_currency
  after insert on adjustment_lines
  for each row when (new.amount <> trunc(new.amount))
  execute function refuse_cents();
create or replace trigger adjustment_lines_set_updated_at
  before update on adjustment_lines
  for each row execute function set_updated_at();
create or replace trigger adjustment_lines_are_audited
  after insert or update or delete on adjustment_lines
  for each row execute function append_to_audit_log();
create or replace trigger adjustment_lines_never_truncated
  before truncate on adjustment_lines
  for each statement execute function refuse_truncate();

create or replace trigger invoices_written_off_take_no_payments
  before update of payments_total on invoices
  for each row when (
    old.status = 'WRITTEN_OFF'
    and new.payments_total - new.refunds_total > old.payments_total - old.refunds_total
  )
  execute function refuse_because_adjusted('invoices_written_off_take_no_payments', 'WRITE_OFF');
create or replace trigger invoices_adjusted_are_not_voided
  before update of voided_at on invoices
  for each row when (
    new.voided_at is not null
    and old.voided_at is null
    and new.credited_total + new.discounted_total + new.written_off_total > 0
  )
  execute function refuse_because_adjusted('invoices_adjusted_are_not_voided');
create or replace trigger invoices_begin_unpaid
  before insert on invoices
  for each row when (
    new.payments_total <> 0 or new.refunds_total <> 0 or new.credited_total <> 0 or new.discounted_total <> 0
    or new.written_off_total <> 0 or new.reversals_total <> 0
  )
  execute function refuse_handwritten_total();
create or replace trigger invoices_totals_follow_payments
  before update on invoices
  for each row when (
    pg_trigger_depth() = 0
    and (
      new.payments_total is distinct from old.payments_total or new.refunds_total is distinct from old.refunds_total
      or new.credited_total is distinct from old.credited_total
      or new.discounted_total is distinct from old.discounted_total
      or new.written_off_total is distinct from old.written_off_total
      or new.reversals_total is distinct from old.reversals_total
    )
  )
  execute function refuse_handwritten_total();
create or replace trigger invoices_changes_are_audited
  after update on invoices
  for each row when (
    not (
      new.payments_total is distinct from old.payments_total or new.refunds_total is distinct from old.refunds_total
      or new.credited_total is distinct from old.credited_total
      or new.discounted_total is distinct from old.discounted_total
      or new.written_off_total is distinct from old.written_off_total
      or new.reversals_total is distinct from old.reversals_total
    )
  )
  execute function append_to_audit_log();
create or replace trigger invoices_have_possible_balances
  after update on invoices
  for each row when (new.refunds_total > 0 or new.reversals_total > 0)
  execute function refuse_impossible_balance();
