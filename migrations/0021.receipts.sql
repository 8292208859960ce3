-- Sums of money that arrived, the payments that they make on invoices, what was given back of them, and the totals that
-- follow. A payment that belongs to a receipt is an allocation: not cash, and taken back by a refund that names it.
--
-- contract: a constraint is dropped only to be added again, if the file runs twice
set local lock_timeout = '2s';

-- The updated_at of a row after `changes` updates in this transaction: later than before, even if the clock went back.
create or replace function updated_at_after(updated_at timestamptz, changes int) returns timestamptz
  language sql stable parallel safe
  return case
    when changes = 0 then updated_at
    else greatest(now(), updated_at + interval '1 microsecond') + (changes - 1) * interval '1 microsecond'
  end;

-- As before. It sets no search_path, because that would cost a payment 3 %.
create or replace function set_updated_at() returns trigger
  language plpgsql
  as $function$
    begin
      new.updated_at := public.updated_at_after(old.updated_at, 1);
      return new;
    end
  $function$;

create table if not exists receipts (
  id uuid not null default uuidv7(),
  school_id uuid not null,
  -- Null while nobody knows whose money it is.
  payer_id uuid,
  -- As it was then: a payer who changes the name changes no receipt.
  payer_name text,
  amount numeric(12, 2) not null,
  method text,
  reference text,
  source text,
  external_reference text,
  received_at timestamptz not null default now(),
  reversed_at timestamptz,
  reverse_reason text,
  allocated_total numeric(18, 2) not null default 0,
  refunded_total numeric(18, 2) not null default 0,
  unallocated numeric(18, 2) not null generated always as (
    case when reversed_at is null then amount - allocated_total - refunded_total else 0 end
  ) stored,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint receipts_pkey primary key (id, school_id),
  constraint receipts_school_id_fkey foreign key (school_id) references schools (id) on delete restrict,
  constraint receipts_payer_id_fkey foreign key (payer_id, school_id) references payers (id, school_id) on delete restrict,
  constraint receipts_payer_has_name check ((payer_id is null) = (payer_name is null)),
  constraint receipts_amount_positive check (amount > 0 and amount <> 'NaN'),
  constraint receipts_method_length check (char_length(method) between 1 and 50),
  constraint receipts_method_plain check (is_plain_text(method) and method = lower(method) and method !~ '[\s-]'),
  constraint receipts_reference_length check (char_length(reference) between 1 and 255),
  constraint receipts_reference_plain check (is_plain_text(reference) and position(E'\n' in reference) = 0),
  constraint receipts_source_length check (char_length(source) between 1 and 50),
  constraint receipts_source_plain check (is_plain_text(source) and position(E'\n' in source) = 0),
  constraint receipts_external_reference_length check (char_length(external_reference) between 1 and 255),
  constraint receipts_external_reference_plain
    check (is_plain_text(external_reference) and position(E'\n' in external_reference) = 0),
  constraint receipts_reverse_reason_length check (char_length(reverse_reason) between 1 and 500),
  constraint receipts_reverse_reason_plain check (is_plain_text(reverse_reason)),
  constraint receipts_received_at_in_calendar check (received_at >= '1900-01-01Z'),
  -- updated_at is the time of the transaction, so this means "not in the future".
  constraint receipts_received_at_not_in_future check (received_at <= updated_at),
  constraint receipts_reversed_at_not_in_future check (reversed_at <= updated_at),
  constraint receipts_reversed_after_received check (reversed_at >= received_at),
  constraint receipts_reversed_has_reason check ((reversed_at is null) = (reverse_reason is null)),
  constraint receipts_totals_not_negative check (allocated_total >= 0 and refunded_total >= 0),
  constraint receipts_spent_at_most_amount check (allocated_total + refunded_total <= amount),
  constraint receipts_none_refunded_when_reversed check (reversed_at is null or refunded_total = 0)
)
with (fillfactor = 90);

-- A bank's reference is booked once in a school.
create unique index if not exists receipts_external_reference_key on receipts (school_id, source, external_reference)
  nulls not distinct
  where external_reference is not null;
-- A school's receipts, ordered by id.
create index if not exists receipts_school_id_id_idx on receipts (school_id, id);
-- A payer's receipts; also the index of the foreign key.
create index if not exists receipts_payer_id_school_id_idx on receipts (payer_id, school_id);
-- A school's receipts of a period, and what is reversed in it.
create index if not exists receipts_school_id_received_at_idx on receipts (school_id, received_at);
create index if not exists receipts_reversed_idx on receipts (school_id, reversed_at) where reversed_at is not null;
-- No index has `unallocated`: then an allocation would write to every index of the table.

create table if not exists receipt_refunds (
  id uuid not null default uuidv7(),
  school_id uuid not null,
  receipt_id uuid not null,
  amount numeric(12, 2) not null,
  method text,
  reference text,
  reason text,
  refunded_at timestamptz not null default now(),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint receipt_refunds_pkey primary key (id, school_id),
  constraint receipt_refunds_receipt_id_fkey foreign key (receipt_id, school_id)
    references receipts (id, school_id) on delete restrict,
  constraint receipt_refunds_amount_positive check (amount > 0 and amount <> 'NaN'),
  constraint receipt_refunds_method_length check (char_length(method) between 1 and 50),
  constraint receipt_refunds_method_plain check (is_plain_text(method) and method = lower(method) and method !~ '[\s-]'),
  constraint receipt_refunds_reference_length check (char_length(reference) between 1 and 255),
  constraint receipt_refunds_reference_plain check (is_plain_text(reference) and position(E'\n' in reference) = 0),
  constraint receipt_refunds_reason_length check (char_length(reason) between 1 and 500),
  constraint receipt_refunds_reason_plain check (is_plain_text(reason)),
  constraint receipt_refunds_refunded_at_not_in_future check (refunded_at <= updated_at)
);

-- A receipt's refunds; also the index of the foreign key.
create index if not exists receipt_refunds_receipt_id_school_id_idx on receipt_refunds (receipt_id, school_id);
-- A school's refunds of a period.
create index if not exists receipt_refunds_school_id_refunded_at_idx on receipt_refunds (school_id, refunded_at);

-- As before, for every table: the trigger's argument names the constraint.
create or replace function refuse_handwritten_total() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
  as $function$
    begin
      raise exception 'the totals of % % follow from its movements', tg_table_name, new.id
        using errcode = 'integrity_constraint_violation',
              constraint = coalesce(tg_argv[0], 'invoices_totals_follow_payments'),
              table = tg_table_name;
    end
  $function$;

alter table invoices add column if not exists payer_id uuid;
alter table invoices
  drop constraint if exists invoices_payer_id_fkey,
  add constraint invoices_payer_id_fkey foreign key (payer_id, school_id)
    references payers (id, school_id) on delete restrict not valid;

alter table payments
  add column if not exists receipt_id uuid,
  add column if not exists reverses_id uuid,
  add column if not exists reason text;
alter table payments
  drop constraint if exists payments_receipt_id_fkey,
  add constraint payments_receipt_id_fkey foreign key (receipt_id, school_id)
    references receipts (id, school_id) on delete restrict not valid,
  drop constraint if exists payments_reverses_id_fkey,
  add constraint payments_reverses_id_fkey foreign key (reverses_id, school_id)
    references payments (id, school_id) on delete restrict not valid,
  drop constraint if exists payments_refunds_of_receipts_name_their_payment,
  add constraint payments_refunds_of_receipts_name_their_payment
    check ((reverses_id is not null) = (receipt_id is not null and kind = 'REFUND')) not valid,
  drop constraint if exists payments_reason_length,
  add constraint payments_reason_length check (char_length(reason) between 1 and 500) not valid,
  drop constraint if exists payments_reason_plain,
  add constraint payments_reason_plain check (is_plain_text(reason)) not valid;

-- The moment of the last movement of a receipt: nothing of it moves before it arrived.
create or replace function last_movement_of(receipt uuid, school uuid) returns timestamptz
  language sql stable
  return greatest(
    (select received_at from receipts where id = receipt and school_id = school),
    (select max(paid_at) from payments where receipt_id = receipt and school_id = school),
    (select max(refunded_at) from receipt_refunds where receipt_id = receipt and school_id = school)
  );

-- The moment of a movement of a receipt that has a day of the school as its date: the beginning of the day, or the
-- receipt's last movement if that is on this day. Null without a day.
create or replace function start_of_movement(day date, receipt uuid, school uuid) returns timestamptz
  language sql stable
  return (
    select
      case
        when (last_movement_of(receipt, school) at time zone time_zone)::date = day then last_movement_of(receipt, school)
        else start_of_day(day, time_zone)
      end
    from schools
    where id = school
      and day is not null
  );

-- The moment of the last payment or refund on an invoice, but not after now. It is a function and no
-- subquery: with a subquery, PostgreSQL plans the statement again for each call.
create or replace function last_payment_of(invoice uuid, school uuid) returns timestamptz
  language plpgsql stable
  set search_path = public, pg_temp
  as $function$
    begin
      return (select least(max(paid_at), now()) from payments where invoice_id = invoice and school_id = school);
    end
  $function$;

-- Updates the totals of the invoice, or of both invoices if a payment moves to another one, and the total of the receipt
-- whose money a payment is: each is the sum of what is there. If a check of an invoice or a receipt refuses that, the whole
-- statement fails. An allocation is dated neither before its receipt nor before its invoice, and only the whole of it is
-- taken back. `old` is null in an insert, and `new` in a delete. Payments of receipts are only ever added.
create or replace function move_invoice_totals() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  -- Otherwise PostgreSQL plans the UPDATE again for each list.
  set plan_cache_mode = force_generic_plan
  as $function$
    declare
      school uuid := coalesce(new.school_id, old.school_id);
      moved uuid[] := array[new.invoice_id, old.invoice_id];
      is_counted boolean := false;
      earliest timestamptz;
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
              where invoice_id = invoices.id and school_id = invoices.school_id
            )
        where id = any(moved) and school_id = school;
        if new.receipt_id is not null then
          update receipts
          set allocated_total = (
                select sum(case kind when 'PAYMENT' then payments.amount else -payments.amount end)
                from payments
                where receipt_id = receipts.id and payments.school_id = receipts.school_id
              )
          where id = new.receipt_id and school_id = school;
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
                  constraint = 'payments_take_back_a_whole_allocation',
                  table = 'payments';
        end if;
      end if;
      if new.paid_at < earliest then
        raise exception 'payment % is dated %, before %', new.id, new.paid_at, earliest
          using errcode = 'integrity_constraint_violation',
                constraint = 'payments_follow_receipt_and_invoice',
                table = 'payments';
      end if;
      return null;
    end
  $function$;

-- Refuses to date an invoice after money of a receipt that pays it.
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
      return null;
    end
  $function$;

create or replace trigger invoices_keep_their_payer
  before update of payer_id on invoices
  for each row when (new.payer_id is distinct from old.payer_id)
  execute function refuse_change_of_movement('invoices_payer_is_fixed');
create or replace trigger invoices_issued_before_allocations
  after update of issued_at on invoices
  for each row when (new.issued_at > old.issued_at)
  execute function keep_issue_before_allocations();
create or replace trigger payments_allocations_stay
  before update or delete on payments
  for each row when (old.receipt_id is not null)
  execute function refuse_change_of_movement('payments_belong_to_receipt');
create or replace trigger payments_keep_their_receipt
  before update of receipt_id, reverses_id on payments
  for each row when (new.receipt_id is distinct from old.receipt_id or new.reverses_id is distinct from old.reverses_id)
  execute function refuse_change_of_movement('payments_belong_to_receipt');

-- Updates the total of the receipt. A check of receipts refuses to give back more than is left.
create or replace function move_receipt_refunds() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
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
                constraint = 'receipts_move_in_order',
                table = 'receipt_refunds',
                detail = json_build_object('moved_at', instant_text(moved_at));
      end if;
      return null;
    end
  $function$;

-- Refuses a commit after which money of a reversed receipt would still pay an invoice, and a reversal that is dated before
-- a movement of the receipt.
create or replace function refuse_spent_reversal() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    declare
      moved_at timestamptz := last_movement_of(new.id, new.school_id);
    begin
      if exists (select 1 from receipts where id = new.id and school_id = new.school_id and allocated_total > 0) then
        raise exception 'receipt % is reversed and pays nothing', new.id
          using errcode = 'integrity_constraint_violation',
                constraint = 'receipts_none_allocated_when_reversed',
                table = 'receipts';
      end if;
      if new.reversed_at < moved_at and new.reversed_at < now() then
        raise exception 'receipt % changed at %, after %', new.id, moved_at, new.reversed_at
          using errcode = 'integrity_constraint_violation',
                constraint = 'receipts_move_in_order',
                table = 'receipts',
                detail = json_build_object('moved_at', instant_text(moved_at));
      end if;
      return null;
    end
  $function$;

create or replace trigger receipts_stay
  before update of school_id, payer_id, amount, received_at, source, external_reference, reversed_at on receipts
  for each row when (
    new.school_id <> old.school_id
    or new.amount <> old.amount
    or new.received_at <> old.received_at
    or new.source is distinct from old.source
    or new.external_reference is distinct from old.external_reference
    or (old.reversed_at is not null and new.reversed_at is distinct from old.reversed_at)
    or (old.reversed_at is not null and new.payer_id is distinct from old.payer_id)
  )
  execute function refuse_change_of_movement('receipts_are_fixed');
create or replace trigger receipts_begin_unspent
  before insert on receipts
  for each row when (new.allocated_total <> 0 or new.refunded_total <> 0)
  execute function refuse_handwritten_total('receipts_totals_follow_movements');
create or replace trigger receipts_totals_follow_movements
  before update on receipts
  for each row when (
    pg_trigger_depth() = 0
    and (new.allocated_total <> old.allocated_total or new.refunded_total <> old.refunded_total)
  )
  execute function refuse_handwritten_total('receipts_totals_follow_movements');
create or replace trigger receipts_set_updated_at
  before update on receipts
  for each row execute function set_updated_at();
create or replace trigger receipts_fit_the_currency
  after insert on receipts
  for each row when (new.amount <> trunc(new.amount))
  execute function refuse_cents();
create or replace trigger receipts_are_audited
  after insert or delete on receipts
  for each row execute function append_to_audit_log();
create or replace trigger receipts_changes_are_audited
  after update on receipts
  for each row when (new.allocated_total = old.allocated_total and new.refunded_total = old.refunded_total)
  execute function append_to_audit_log();
create or replace trigger receipts_never_truncated
  before truncate on receipts
  for each statement execute function refuse_truncate();
drop trigger if exists receipts_reversed_pay_nothing on receipts;
create constraint trigger receipts_reversed_pay_nothing
  after insert or update on receipts
  deferrable initially deferred
  for each row when (new.reversed_at is not null)
  execute function refuse_spent_reversal();

create or replace trigger receipt_refunds_stay
  before update or delete on receipt_refunds
  for each row execute function refuse_change_of_movement('receipt_refunds_are_fixed');
create or replace trigger receipt_refunds_move_receipt_totals
  after insert on receipt_refunds
  for each row execute function move_receipt_refunds();
create or replace trigger receipt_refunds_fit_the_currency
  after insert on receipt_refunds
  for each row when (new.amount <> trunc(new.amount))
  execute function refuse_cents();
create or replace trigger receipt_refunds_set_updated_at
  before update on receipt_refunds
  for each row execute function set_updated_at();
create or replace trigger receipt_refunds_are_audited
  after insert or update or delete on receipt_refunds
  for each row execute function append_to_audit_log();
create or replace trigger receipt_refunds_never_truncated
  before truncate on receipt_refunds
  for each statement execute function refuse_truncate();

-- As before, and a school that has receipts keeps its currency.
create or replace function keep_currency() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    begin
      perform 1 from schools where id = old.id for update;
      perform 1 from students where school_id = old.id order by id for update;
      if exists (select 1 from invoices where school_id = old.id)
         or exists (select 1 from receipts where school_id = old.id)
      then
        raise exception 'school % has invoices or receipts in %', old.id, old.currency
          using errcode = 'integrity_constraint_violation', constraint = 'schools_currency_is_fixed', table = 'schools';
      end if;
      return new;
    end
  $function$;

-- As before, with the payer of the invoice, and the receipt whose money an entry moves.
create or replace view account_entries as
select
  school_id, student_id, id as invoice_id, null::uuid as payment_id, issued_at, issued_at as happened_at, 1 as turn,
  'INVOICE' as kind, total_amount as amount, total_amount as change, description, null as method, null as reference,
  payer_id, null::uuid as receipt_id
from invoices
union all
select
  payments.school_id, student_id, invoice_id, payments.id, issued_at, counts_from(paid_at, issued_at, voided_at), 2,
  kind, amount, case kind when 'PAYMENT' then -amount else amount end, null, method, reference, payer_id, receipt_id
from payments
join invoices on invoices.id = payments.invoice_id and invoices.school_id = payments.school_id
union all
-- A check refuses to void an invoice with something paid, so its whole amount goes.
select
  school_id, student_id, id, null, issued_at, counts_from(voided_at, issued_at, null), 3, 'VOID', total_amount,
  -total_amount, description, null, null, payer_id, null
from invoices
where voided_at is not null;

-- What moved on receipts: from `happened_at` on, `change` more is unallocated, or less if it is negative. `amount` is
-- always above zero. An allocation names its payment and invoice. What is unallocated at a moment is the sum until
-- then.
create or replace view receipt_entries as
select
  school_id, payer_id, id as receipt_id, null::uuid as payment_id, null::uuid as invoice_id, received_at as happened_at,
  1 as turn, 'RECEIPT' as kind, amount, amount as change, null as description, method, reference
from receipts
union all
select
  payments.school_id, payer_id, receipts.id, payments.id, invoice_id, paid_at, 2,
  case kind when 'PAYMENT' then 'ALLOCATION' else 'ALLOCATION_REVERSAL' end,
  payments.amount, case kind when 'PAYMENT' then -payments.amount else payments.amount end, reason, payments.method,
  payments.reference
from receipts
join payments on payments.receipt_id = receipts.id and payments.school_id = receipts.school_id
union all
select
  receipt_refunds.school_id, payer_id, receipts.id, null, null, refunded_at, 3, 'RECEIPT_REFUND', receipt_refunds.amount,
  -receipt_refunds.amount, reason, receipt_refunds.method, receipt_refunds.reference
from receipts
join receipt_refunds on receipt_refunds.receipt_id = receipts.id and receipt_refunds.school_id = receipts.school_id
union all
select
  school_id, payer_id, id, null, null, reversed_at, 4, 'RECEIPT_REVERSAL', amount, -amount, reverse_reason, method,
  reference
from receipts
where reversed_at is not null;

-- What each receipt pays, or paid until `reversed_at`.
create or replace view receipt_allocations as
select
  payments.school_id, payments.receipt_id, payments.id as payment_id, payments.invoice_id, student_id, full_name,
  description, payments.amount, payments.paid_at as allocated_at, taken_back.paid_at as reversed_at
from payments
join invoices on invoices.id = payments.invoice_id and invoices.school_id = payments.school_id
join students on students.id = invoices.student_id and students.school_id = invoices.school_id
left join payments as taken_back on taken_back.reverses_id = payments.id and taken_back.school_id = payments.school_id
where payments.receipt_id is not null
  and payments.kind = 'PAYMENT';

-- The allocations of a receipt in an answer, oldest first.
create or replace function allocations_of_receipt(receipt uuid, school uuid) returns jsonb
  language plpgsql stable
  set search_path = public, pg_temp
  as $function$
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
  $function$;

-- What was given back of a receipt in an answer, oldest first.
create or replace function refunds_of_receipt(receipt uuid, school uuid) returns jsonb
  language plpgsql stable
  set search_path = public, pg_temp
  as $function$
    begin
      return (
        select coalesce(jsonb_agg(to_jsonb(refund) order by refund.refunded_at, refund.id), '[]')
        from receipt_refunds
        cross join lateral (select id, amount, method, reference, reason, refunded_at) as refund
        where receipt_id = receipt and school_id = school
      );
    end
  $function$;
