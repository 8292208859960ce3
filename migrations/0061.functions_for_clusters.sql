-- What a Citus cluster needs of the functions:
-- - Where a function changes rows, it compares the school of each table with a value, so that the change goes to one shard.
-- - It knows a row of this transaction by the row's transaction, too, because now() differs between the nodes. A row of a
--   savepoint has a transaction of its own, and there now() is right.
-- - It takes no whole row, and none that a table needs depends on a table: the workers get functions before tables.
-- - The hint of an error has the name of the constraint, because Citus does not pass on the name itself.
--
-- contract: receipts_begin_with_their_payments takes the place of receipts_begin_as_allocated
set local lock_timeout = '2s';

-- Each function stays as it is, but for these words: what was there, and what takes its place.
do $do$
  declare
    change record;
    definition text;
  begin
    for change in
      values
        (
          'move_invoice_totals()',
          $$invoice_id = invoices.id and school_id = invoices.school_id$$,
          $$invoice_id = invoices.id and payments.school_id = school$$
        ),
        (
          'settle_early_discount()',
          $$and created_at = now()$$,
          $$and (created_at = now() or payments.xmin = pg_current_xact_id()::xid)$$
        ),
        (
          'check_invoice_of_run()',
          $$select committed_at, number_year, first_number, invoices_count, invoice_prefix into run$$,
          $$select
        committed_at = now() or committed_at is not null and billing_runs.xmin = pg_current_xact_id()::xid
          as is_committed_now,
        number_year, first_number, invoices_count, invoice_prefix
      into run$$
        ),
        (
          'check_invoice_of_run()',
          $$run.committed_at is distinct from now()$$,
          $$run.is_committed_now is distinct from true$$
        ),
        (
          'move_adjusted_totals()',
          $$case new.kind when 'CREDIT_NOTE'$$,
          $$case when new.kind = 'CREDIT_NOTE'$$
        ),
        (
          'move_adjusted_totals()',
          $$case new.kind when 'DISCOUNT'$$,
          $$case when new.kind = 'DISCOUNT'$$
        ),
        (
          'move_adjusted_totals()',
          $$case new.kind when 'WRITE_OFF'$$,
          $$case when new.kind = 'WRITE_OFF'$$
        ),
        (
          'move_adjusted_totals()',
          $$case
            -- Only settle_early_discount adds a discount from within a trigger.
            when new.kind = 'DISCOUNT' and new.reverses_id is null and pg_trigger_depth() > 1 then new.id
            else nullif(early_adjustment_id, new.reverses_id)
          end$$,
          $$case when is_early then new.id else nullif(early_adjustment_id, new.reverses_id) end$$
        ),
        (
          'move_adjusted_totals()',
          $$
      earliest timestamptz;
    begin$$,
          $$
      -- Only settle_early_discount adds a discount from within a trigger.
      is_early boolean := new.kind = 'DISCOUNT' and new.reverses_id is null and pg_trigger_depth() > 1;
      earliest timestamptz;
    begin$$
        )
    loop
      definition := pg_get_functiondef(change.column1::regprocedure);
      if position(change.column2 in definition) + position(change.column3 in definition) = 0 then
        raise exception '% is not what the migrations before made: compare it with migrations/schema.sql', change.column1;
      end if;
      execute replace(definition, change.column2, change.column3);
    end loop;
  end
$do$;

-- The moment of the last movement of a receipt: nothing of it moves before it arrived.
create or replace function last_movement_of(receipt uuid, school uuid) returns timestamptz
  language plpgsql stable
  set search_path = public, pg_temp
  as $function$
    begin
      return greatest(
        (select received_at from receipts where id = receipt and school_id = school),
        (select max(paid_at) from payments where receipt_id = receipt and payments.school_id = school),
        (select max(refunded_at) from receipt_refunds where receipt_id = receipt and receipt_refunds.school_id = school)
      );
    end
  $function$;

-- The moment of a movement of a receipt that has a day of the school as its date: the beginning of the day, or the
-- receipt's last movement if that is on this day. Null without a day.
create or replace function start_of_movement(day date, receipt uuid, school uuid) returns timestamptz
  language plpgsql stable
  set search_path = public, pg_temp
  as $function$
    declare
      zone text := (select time_zone from schools where id = school);
      moved_at timestamptz := last_movement_of(receipt, school);
    begin
      return case when (moved_at at time zone zone)::date = day then moved_at else start_of_day(day, zone) end;
    end
  $function$;

-- The hash of the content of an entry, without its seal.
create or replace function audit_digest(
  id uuid, school_id uuid, entity text, entity_id uuid, action text, actor text, database_role text, request_id text,
  created_at timestamptz, row_before jsonb, row_after jsonb
) returns bytea
  language sql stable
  return sha256(convert_to(
    jsonb_build_array(
      id, school_id, entity, entity_id, action, actor, database_role, request_id, extract(epoch from created_at),
      row_before, row_after
    )::text,
    'UTF8'
  ));

-- The previous version of the service still calls this one.
create or replace function audit_digest(entry audit_log) returns bytea
  language sql stable
  return audit_digest(
    entry.id, entry.school_id, entry.entity, entry.entity_id, entry.action, entry.actor, entry.database_role,
    entry.request_id, entry.created_at, entry.row_before, entry.row_after
  );

-- On a cluster, a receipt and its payments are made by two statements of one transaction.
drop trigger if exists receipts_begin_as_allocated on receipts;
drop trigger if exists receipts_begin_with_their_payments on receipts;
create constraint trigger receipts_begin_with_their_payments
  after insert on receipts
  deferrable initially deferred
  for each row when (new.allocated_total <> 0 or new.refunded_total <> 0)
  execute function refuse_unspent_total();

-- These functions stay as they are, but for the hint.
do $do$
  declare
    signature regprocedure;
  begin
    for signature in
      select oid::regprocedure
      from pg_proc
      where pronamespace = 'public'::regnamespace and prosrc ~ 'constraint = ' and prosrc !~ 'hint = '
    loop
      execute regexp_replace(
        pg_get_functiondef(signature), 'constraint = (''\w+''|tg_argv\[0\]|coalesce\([^()]*\))', 'constraint = \1, hint = \1', 'g'
      );
    end loop;
  end
$do$;
