do $do$
  declare
    signature regprocedure;
  begin
    for signature in
      select oid::regprocedure from pg_proc where pronamespace = 'public'::regnamespace and prosrc ~ ', hint = '
    loop
      execute regexp_replace(
        pg_get_functiondef(signature), ', hint = (''\w+''|tg_argv\[0\]|coalesce\([^()]*\))', '', 'g'
      );
    end loop;
  end
$do$;

drop trigger if exists receipts_begin_with_their_payments on receipts;
create or replace trigger receipts_begin_as_allocated
  after insert on receipts
  for each row when (new.allocated_total <> 0 or new.refunded_total <> 0)
  execute function refuse_unspent_total();

-- As in 0002.
create or replace function audit_digest(entry audit_log) returns bytea
  language sql stable
  return sha256(convert_to(
    jsonb_build_array(
      entry.id, entry.school_id, entry.entity, entry.entity_id, entry.action, entry.actor, entry.database_role,
      entry.request_id, extract(epoch from entry.created_at), entry.row_before, entry.row_after
    )::text,
    'UTF8'
  ));

drop function if exists audit_digest(
  uuid, uuid, text, uuid, text, text, text, text, timestamptz, jsonb, jsonb
);

-- As in 0021.
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

do $do$
  declare
    change record;
  begin
    for change in
      values
        (
          'move_adjusted_totals()',
          $$
      -- Only settle_early_discount adds a discount from within a trigger.
      is_early boolean := new.kind = 'DISCOUNT' and new.reverses_id is null and pg_trigger_depth() > 1;
      earliest timestamptz;
    begin$$,
          $$
      earliest timestamptz;
    begin$$
        ),
        (
          'move_adjusted_totals()',
          $$case when is_early then new.id else nullif(early_adjustment_id, new.reverses_id) end$$,
          $$case
            -- Only settle_early_discount adds a discount from within a trigger.
            when new.kind = 'DISCOUNT' and new.reverses_id is null and pg_trigger_depth() > 1 then new.id
            else nullif(early_adjustment_id, new.reverses_id)
          end$$
        ),
        (
          'move_adjusted_totals()',
          $$case when new.kind = 'WRITE_OFF'$$,
          $$case new.kind when 'WRITE_OFF'$$
        ),
        (
          'move_adjusted_totals()',
          $$case when new.kind = 'DISCOUNT'$$,
          $$case new.kind when 'DISCOUNT'$$
        ),
        (
          'move_adjusted_totals()',
          $$case when new.kind = 'CREDIT_NOTE'$$,
          $$case new.kind when 'CREDIT_NOTE'$$
        ),
        (
          'check_invoice_of_run()',
          $$run.is_committed_now is distinct from true$$,
          $$run.committed_at is distinct from now()$$
        ),
        (
          'check_invoice_of_run()',
          $$select
        committed_at = now() or committed_at is not null and billing_runs.xmin = pg_current_xact_id()::xid
          as is_committed_now,
        number_year, first_number, invoices_count, invoice_prefix
      into run$$,
          $$select committed_at, number_year, first_number, invoices_count, invoice_prefix into run$$
        ),
        (
          'settle_early_discount()',
          $$and (created_at = now() or payments.xmin = pg_current_xact_id()::xid)$$,
          $$and created_at = now()$$
        ),
        (
          'move_invoice_totals()',
          $$invoice_id = invoices.id and payments.school_id = school$$,
          $$invoice_id = invoices.id and school_id = invoices.school_id$$
        )
    loop
      execute replace(pg_get_functiondef(change.column1::regprocedure), change.column2, change.column3);
    end loop;
  end
$do$;
