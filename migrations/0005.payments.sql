-- Movements of money on an invoice: payments and refunds.
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
  -- updated_at is the clock of the transaction that wrote the row, so this says "not in the future".
  constraint payments_paid_at_not_in_future check (paid_at <= updated_at)
);

-- An invoice's movements; also the foreign key's index.
create index if not exists payments_invoice_id_school_id_idx on payments (invoice_id, school_id);
-- A school's movements, page by page in the order of their ids.
create index if not exists payments_school_id_id_idx on payments (school_id, id);

-- The totals on an invoice equal the sum of its movements, whoever writes. The API's statements move both at
-- once; this refuses, at the end of the transaction, a hand-written change that moves one without the other.
-- It cannot be fooled by a second writer: whoever changed the totals holds the invoice's row lock until then,
-- and each query of a volatile function sees what was committed before it.
create or replace function check_invoice_totals(checked_invoice_id uuid, checked_school_id uuid) returns void
  language plpgsql
  as $function$
    begin
      perform
      from invoices
      cross join (
        select
          coalesce(sum(amount) filter (where kind = 'PAYMENT'), 0) as payments_total,
          coalesce(sum(amount) filter (where kind = 'REFUND'), 0) as refunds_total
        from payments
        where invoice_id = checked_invoice_id and school_id = checked_school_id
      ) as movements
      where invoices.id = checked_invoice_id
        and invoices.school_id = checked_school_id
        and (invoices.payments_total, invoices.refunds_total)
            is distinct from (movements.payments_total, movements.refunds_total);
      if found then
        raise exception 'the totals of invoice % do not equal the sum of its movements', checked_invoice_id
          using errcode = 'integrity_constraint_violation',
                constraint = 'invoices_totals_match_movements',
                table = 'invoices';
      end if;
    end
  $function$;

create or replace function invoice_totals_match_movements() returns trigger
  language plpgsql
  as $function$
    begin
      if tg_table_name = 'invoices' then
        perform check_invoice_totals(new.id, new.school_id);
        return null;
      end if;
      if tg_op <> 'DELETE' then
        perform check_invoice_totals(new.invoice_id, new.school_id);
      end if;
      if tg_op = 'DELETE' or (tg_op = 'UPDATE' and old.invoice_id <> new.invoice_id) then
        perform check_invoice_totals(old.invoice_id, old.school_id);
      end if;
      return null;
    end
  $function$;

do $migration$
begin
  -- pg_temp is searched first unless it is named: a temporary table of the same name would take our place.
  execute format('alter function %s set search_path = %I, pg_temp', 'check_invoice_totals(uuid, uuid)', current_schema());
  if not exists (select from pg_trigger where tgname = 'payments_match_invoice_totals' and tgrelid = 'payments'::regclass) then
    create constraint trigger payments_match_invoice_totals
      after insert or delete or update of amount, kind, invoice_id, school_id on payments
      deferrable initially deferred
      for each row execute function invoice_totals_match_movements();
  end if;
  if not exists (select from pg_trigger where tgname = 'invoices_totals_match_movements' and tgrelid = 'invoices'::regclass) then
    create constraint trigger invoices_totals_match_movements
      after update of payments_total, refunds_total on invoices
      deferrable initially deferred
      for each row execute function invoice_totals_match_movements();
  end if;
  if not exists (select from pg_trigger where tgname = 'invoices_start_without_movements' and tgrelid = 'invoices'::regclass) then
    create constraint trigger invoices_start_without_movements
      after insert on invoices
      deferrable initially deferred
      for each row when (new.payments_total <> 0 or new.refunds_total <> 0)
      execute function invoice_totals_match_movements();
  end if;
end
$migration$;
