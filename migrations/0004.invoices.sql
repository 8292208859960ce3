-- Invoices raised on students, with the running totals of their movements.
--
-- payments_total and refunds_total are moved by the statement that records the movement. What follows from
-- them (paid_total, balance_due, status) is generated here and nowhere else.
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
    case
      when voided_at is not null then 'VOID'
      when payments_total - refunds_total = 0 then 'PENDING'
      when payments_total - refunds_total < total_amount then 'PARTIAL'
      else 'PAID'
    end
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
  constraint invoices_movements_not_negative check (payments_total >= 0 and refunds_total >= 0),
  -- PostgreSQL tries checks in the order of their names, so a movement on a void invoice is told that.
  constraint invoices_none_paid_when_void check (voided_at is null or payments_total = refunds_total),
  -- Whoever pays or refunds queues at the invoice's row; these two refuse the one too many.
  constraint invoices_paid_at_most_total check (payments_total - refunds_total <= total_amount),
  constraint invoices_refunded_at_most_paid check (payments_total - refunds_total >= 0)
);

-- A student's invoices and statement; also the foreign key's index.
create index if not exists invoices_student_id_school_id_idx on invoices (student_id, school_id);
-- A school's invoices, page by page in the order of their ids, and its statement.
create index if not exists invoices_school_id_id_idx on invoices (school_id, id);
