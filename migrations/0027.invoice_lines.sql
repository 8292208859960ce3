-- What an invoice is made of: lines that sum to its total, negative ones for discounts. They are changed as a whole, until
-- something is paid or the invoice has a number.
set local lock_timeout = '2s';

create table if not exists invoice_lines (
  id uuid not null default uuidv7(),
  school_id uuid not null,
  invoice_id uuid not null,
  position int not null,
  description text not null,
  category text,
  amount numeric(12, 2) not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint invoice_lines_pkey primary key (id, school_id),
  -- Also the index of the foreign key.
  constraint invoice_lines_position_key unique (invoice_id, school_id, position),
  constraint invoice_lines_invoice_id_fkey foreign key (invoice_id, school_id)
    references invoices (id, school_id) on delete restrict,
  constraint invoice_lines_position_in_range check (position between 1 and 100),
  constraint invoice_lines_description_length check (char_length(description) between 1 and 255),
  constraint invoice_lines_description_plain check (is_plain_text(description) and position(E'\n' in description) = 0),
  constraint invoice_lines_category_length check (char_length(category) between 1 and 50),
  constraint invoice_lines_category_plain check (is_plain_text(category) and position(E'\n' in category) = 0),
  constraint invoice_lines_amount_is_number check (amount <> 'NaN')
);

-- The lines of an invoice as JSON, as every statement shows them.
create or replace function lines_of_invoice(invoice uuid, school uuid) returns jsonb
  language plpgsql stable
  set search_path = public, pg_temp
  as $function$
    begin
      return (
        select coalesce(jsonb_agg(to_jsonb(line) order by line.position), '[]')
        from invoice_lines
        cross join lateral (select position, description, category, amount) as line
        where invoice_id = invoice and school_id = school
      );
    end
  $function$;

-- Refuses a commit after which the lines of an invoice would not sum to its total, or after which they had changed although
-- something was paid or credited, or the invoice has a number or is void. It is of invoices and of their lines.
create or replace function refuse_other_lines() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
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
                constraint = 'invoice_lines_are_fixed',
                table = 'invoice_lines';
      end if;
      select sum(amount) into lines_sum
      from invoice_lines
      where invoice_id = invoice.id and school_id = invoice.school_id;
      if lines_sum <> invoice.total_amount then
        raise exception 'the lines of invoice % sum to %', invoice.id, lines_sum
          using errcode = 'integrity_constraint_violation',
                constraint = 'invoice_lines_sum_to_total',
                table = 'invoice_lines';
      end if;
      return null;
    end
  $function$;

drop trigger if exists invoice_lines_sum_to_total on invoice_lines;
create constraint trigger invoice_lines_sum_to_total
  after insert or delete on invoice_lines
  deferrable initially deferred
  for each row execute function refuse_other_lines();
create or replace trigger invoice_lines_stay
  before update on invoice_lines
  for each row execute function refuse_change_of_movement('invoice_lines_are_fixed');
create or replace trigger invoice_lines_fit_the_currency
  after insert on invoice_lines
  for each row when (new.amount <> trunc(new.amount))
  execute function refuse_cents();
create or replace trigger invoice_lines_set_updated_at
  before update on invoice_lines
  for each row execute function set_updated_at();
create or replace trigger invoice_lines_are_audited
  after insert or update or delete on invoice_lines
  for each row execute function append_to_audit_log();
create or replace trigger invoice_lines_never_truncated
  before truncate on invoice_lines
  for each statement execute function refuse_truncate();

drop trigger if exists invoices_total_follows_lines on invoices;
create constraint trigger invoices_total_follows_lines
  after update of total_amount on invoices
  deferrable initially deferred
  for each row when (new.total_amount <> old.total_amount)
  execute function refuse_other_lines();
