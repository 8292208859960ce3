-- Payments and refunds on an invoice.
--
-- contract: a later migration adds columns to the view, so a second run has to drop it
set local lock_timeout = '2s';

create table if not exists payments (
  id uuid not null default uuidv7(),
  school_id uuid not null,
  invoice_id uuid not null,
  kind text not null default 'PAYMENT',
  amount numeric(12, 2) not null,
  method text,
  reference text,
  paid_at timestamptz not null default now(),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint payments_pkey primary key (id, school_id),
  constraint payments_invoice_id_fkey foreign key (invoice_id, school_id)
    references invoices (id, school_id) on delete restrict,
  constraint payments_kind_known check (kind in ('PAYMENT', 'REFUND')),
  constraint payments_amount_positive check (amount > 0 and amount <> 'NaN'),
  constraint payments_method_length check (char_length(method) between 1 and 50),
  constraint payments_reference_length check (char_length(reference) between 1 and 255),
  constraint payments_paid_at_in_calendar check (paid_at >= '1900-01-01Z'),
  -- updated_at is the time of the transaction, so this means "not in the future".
  constraint payments_paid_at_not_in_future check (paid_at <= updated_at)
);

-- An invoice's payments; also the index of the foreign key.
create index if not exists payments_invoice_id_school_id_idx on payments (invoice_id, school_id);
-- A school's payments, ordered by id.
create index if not exists payments_school_id_id_idx on payments (school_id, id);
-- A school's collections. The index has all columns that they sum, and payments seldom change, so PostgreSQL rarely reads
-- the table.
create index if not exists payments_school_id_paid_at_idx on payments (school_id, paid_at) include (kind, amount, method);

-- Updates the totals of the invoice, or of both invoices if a payment moves to another one. If a check of an invoice
-- refuses that, the whole statement fails. `old` is null in an insert, and `new` in a delete.
create or replace function move_invoice_totals() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    begin
      if new.invoice_id <> old.invoice_id then
        -- Ordered by id, so that two payments that swap their invoices do not deadlock.
        perform 1 from invoices
        where id in (new.invoice_id, old.invoice_id) and school_id = new.school_id
        order by id
        for no key update;
      end if;
      update invoices
      set payments_total = payments_total
            + case when id = new.invoice_id and new.kind = 'PAYMENT' then new.amount else 0 end
            - case when id = old.invoice_id and old.kind = 'PAYMENT' then old.amount else 0 end,
          refunds_total = refunds_total
            + case when id = new.invoice_id and new.kind = 'REFUND' then new.amount else 0 end
            - case when id = old.invoice_id and old.kind = 'REFUND' then old.amount else 0 end
      where id in (new.invoice_id, old.invoice_id) and school_id = coalesce(new.school_id, old.school_id);
      return null;
    end
  $function$;

create or replace trigger payments_keep_their_school
  before update of school_id on payments
  for each row when (new.school_id <> old.school_id)
  execute function keep_school();
create or replace trigger payments_set_updated_at
  before update on payments
  for each row execute function set_updated_at();
create or replace trigger payments_move_invoice_totals
  after insert or delete on payments
  for each row execute function move_invoice_totals();
create or replace trigger payments_changes_move_invoice_totals
  after update on payments
  for each row when (
    new.invoice_id is distinct from old.invoice_id or new.kind is distinct from old.kind
    or new.amount is distinct from old.amount
  )
  execute function move_invoice_totals();
create or replace trigger payments_are_audited
  after insert or update or delete on payments
  for each row execute function append_to_audit_log();
create or replace trigger payments_never_truncated
  before truncate on payments
  for each statement execute function refuse_truncate();

-- The moment from which an entry dated `dated_at` counts: not before its invoice was issued, and not after it was voided. So
-- the entries of an invoice begin with its issue and end with its void, even if dates were corrected. least() ignores null.
create or replace function counts_from(dated_at timestamptz, issued_at timestamptz, voided_at timestamptz)
  returns timestamptz
  language sql immutable parallel safe
  return greatest(least(dated_at, voided_at), issued_at);

-- The entries of accounts: from `happened_at` on, `change` more is owed, or less if it is negative. `amount` is always above
-- zero, and `turn` orders entries of one moment. `issued_at` is the date of the invoice, so that a statement of the past can
-- skip later invoices. Statements are built from this view, so a new kind of entry is one more branch of it.
drop view if exists account_entries;
create view account_entries as
select
  school_id, student_id, id as invoice_id, null::uuid as payment_id, issued_at, issued_at as happened_at, 1 as turn,
  'INVOICE' as kind, total_amount as amount, total_amount as change, description, null as method, null as reference
from invoices
union all
select
  payments.school_id, student_id, invoice_id, payments.id, issued_at, counts_from(paid_at, issued_at, voided_at), 2,
  kind, amount, case kind when 'PAYMENT' then -amount else amount end, null, method, reference
from payments
join invoices on invoices.id = payments.invoice_id and invoices.school_id = payments.school_id
union all
-- A check refuses to void an invoice with something paid, so its whole amount goes.
select
  school_id, student_id, id, null, issued_at, counts_from(voided_at, issued_at, null), 3, 'VOID', total_amount,
  -total_amount, description, null, null
from invoices
where voided_at is not null;
