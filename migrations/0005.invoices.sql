-- Invoices raised on students, with the running totals of their payments.
--
-- payments_total and refunds_total have one writer, the trigger of the table that they sum (0006.payments.sql). What
-- follows from them (paid_total, balance_due, status) is generated.
set local lock_timeout = '2s';

-- The status of an invoice, at any moment: what is paid may be below zero where a refund is dated before its payment.
create or replace function invoice_status(is_void boolean, paid_total numeric, total_amount numeric) returns text
  language sql immutable parallel safe
  return case
    when is_void then 'VOID'
    when paid_total <= 0 then 'PENDING'
    when paid_total < total_amount then 'PARTIAL'
    else 'PAID'
  end;

-- How old a debt is, in steps of 30 days past due: 0 is due today or later, 1 is 1 to 30 days past due, 2 is 31 to 60,
-- 3 is 61 to 90, and 4 is all that is older.
create or replace function ageing_bucket(days_past_due int) returns int
  language sql immutable parallel safe
  return least(greatest((days_past_due + 29) / 30, 0), 4);

-- What statements are made of, as they are written in JSON.
do $migration$
begin
  if to_regtype('ageing') is null then
    create type ageing as (current text, days_1_30 text, days_31_60 text, days_61_90 text, days_over_90 text);
    create type statement_totals as (
      invoiced_total text, payments_total text, refunds_total text, paid_total text, balance_due_total text,
      overdue_total text
    );
    create type statement_line as (
      id uuid, student_id uuid, total_amount text, issued_at text, due_date date, description text,
      payments_total text, refunds_total text, paid_total text, balance_due text, status text
    );
  end if;
end
$migration$;

-- What is owed, by the buckets of ageing_bucket().
create or replace function ageing_of(bucket_0 numeric, bucket_1 numeric, bucket_2 numeric, bucket_3 numeric, bucket_4 numeric)
  returns ageing
  language sql immutable parallel safe
  return row(
    amount_text(bucket_0), amount_text(bucket_1), amount_text(bucket_2), amount_text(bucket_3), amount_text(bucket_4)
  )::ageing;

-- Sums over invoices. Overdue is what is owed but for bucket 0 of the ageing.
create or replace function statement_totals_of(
  invoiced numeric, payments numeric, refunds numeric, balance_due numeric, not_overdue numeric
) returns statement_totals
  language sql immutable parallel safe
  return row(
    amount_text(invoiced), amount_text(payments), amount_text(refunds), amount_text(payments - refunds),
    amount_text(balance_due), amount_text(balance_due - coalesce(not_overdue, 0))
  )::statement_totals;

-- An invoice as it stood at the moment of a statement.
create or replace function statement_line_of(
  id uuid, student_id uuid, total_amount numeric, issued_at timestamptz, due_date date, description text,
  payments_total numeric, refunds_total numeric, balance_due numeric, status text
) returns statement_line
  language sql stable parallel safe
  return row(
    id, student_id, amount_text(total_amount), instant_text(issued_at), due_date, description,
    amount_text(payments_total), amount_text(refunds_total), amount_text(payments_total - refunds_total),
    amount_text(balance_due), status
  )::statement_line;

create table if not exists invoices (
  id uuid not null default uuidv7(),
  school_id uuid not null,
  student_id uuid not null,
  total_amount numeric(12, 2) not null,
  issued_at timestamptz not null default now(),
  due_date date not null,
  description text,
  voided_at timestamptz,
  void_reason text,
  -- Wider than an amount: an invoice paid, refunded and paid again has gross totals above its own amount.
  payments_total numeric(18, 2) not null default 0,
  refunds_total numeric(18, 2) not null default 0,
  paid_total numeric(18, 2) not null generated always as (payments_total - refunds_total) stored,
  balance_due numeric(18, 2) not null generated always as (
    case when voided_at is null then total_amount - payments_total + refunds_total else 0 end
  ) stored,
  status text not null generated always as (
    invoice_status(voided_at is not null, payments_total - refunds_total, total_amount)
  ) stored,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint invoices_pkey primary key (id, school_id),
  constraint invoices_student_id_fkey foreign key (student_id, school_id)
    references students (id, school_id) on delete restrict,
  -- NaN is greater than every number to PostgreSQL, so "> 0" alone would let it in.
  constraint invoices_total_amount_positive check (total_amount > 0 and total_amount <> 'NaN'),
  -- What a person means by a date; it also keeps out infinity, which no calendar outside of PostgreSQL has.
  constraint invoices_due_date_in_calendar check (due_date between '1900-01-01' and '2999-12-31'),
  constraint invoices_issued_at_in_calendar check (issued_at between '1900-01-01Z' and '2999-12-31Z'),
  constraint invoices_description_length check (char_length(description) <= 500),
  constraint invoices_void_reason_length check (char_length(void_reason) between 1 and 500),
  constraint invoices_void_has_reason check ((voided_at is null) = (void_reason is null)),
  constraint invoices_payments_not_negative check (payments_total >= 0 and refunds_total >= 0),
  -- PostgreSQL tries checks in the order of their names, so a payment on a void invoice is told that.
  constraint invoices_none_paid_when_void check (voided_at is null or payments_total = refunds_total),
  -- Payments of one invoice queue at its row; these two refuse the one too many.
  constraint invoices_paid_at_most_total check (payments_total - refunds_total <= total_amount),
  constraint invoices_refunded_at_most_paid check (payments_total - refunds_total >= 0)
)
-- Room for the next version of a row on its own page. Each payment makes a new version of its invoice, and one that fits
-- beside the old one touches no index (HOT). On full pages a fifth of the first payments on 60,000 invoices did touch
-- them; with a tenth of each page free, none. It makes the table 13 percent larger.
with (fillfactor = 90);

-- A student's invoices and statement; also the foreign key's index.
create index if not exists invoices_student_id_school_id_idx on invoices (student_id, school_id);
-- A school's invoices, page by page in the order of their ids, and its statement.
create index if not exists invoices_school_id_id_idx on invoices (school_id, id);
-- A school's collections, which ask for one month of the many years that a school keeps. None of its columns changes when
-- a payment moves the totals, so that update stays a cheap one (HOT).
create index if not exists invoices_school_id_issued_at_idx on invoices (school_id, issued_at);
-- The void entries of an account: few, however many invoices there are.
create index if not exists invoices_voided_idx on invoices (school_id, student_id, id) where voided_at is not null;

-- Refuses a running total that is written by hand, even by a superuser.
create or replace function refuse_handwritten_total() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
  as $function$
    begin
      raise exception 'the totals of invoice % follow from its payments', new.id
        using errcode = 'integrity_constraint_violation',
              constraint = 'invoices_totals_follow_payments',
              table = 'invoices';
    end
  $function$;

create or replace trigger invoices_begin_unpaid
  before insert on invoices
  for each row when (new.payments_total <> 0 or new.refunds_total <> 0)
  execute function refuse_handwritten_total();
-- Only a trigger runs at a depth above 0; a session cannot pretend to be one.
create or replace trigger invoices_totals_follow_payments
  before update on invoices
  for each row when (
    pg_trigger_depth() = 0
    and (new.payments_total, new.refunds_total) is distinct from (old.payments_total, old.refunds_total)
  )
  execute function refuse_handwritten_total();
-- A trigger before an update also makes PostgreSQL lock and read the newest version of the row first. So a payment that
-- waited for another is checked against the totals that the other left, and not against those that it saw before.
create or replace trigger invoices_set_updated_at
  before update on invoices
  for each row execute function set_updated_at();
create or replace trigger invoices_are_audited
  after insert or delete on invoices
  for each row execute function append_to_audit_log();
-- An update that moves the totals changes nothing else, and the payment behind it has its own entry.
create or replace trigger invoices_changes_are_audited
  after update on invoices
  for each row when (
    (new.payments_total, new.refunds_total) is not distinct from (old.payments_total, old.refunds_total)
  )
  execute function append_to_audit_log();
create or replace trigger invoices_never_truncated
  before truncate on invoices
  for each statement execute function refuse_truncate();
