-- What a Citus cluster needs of the functions:
-- - Where a function changes rows, it compares the school of each table with a value, so that the change goes to one shard.
-- - It knows a row of this transaction by the row's transaction, because now() differs between the nodes.
-- - It takes no whole row, and none that a table needs depends on a table: the workers get functions before tables.
-- - The hint of an error has the name of the constraint, because Citus passes on the hint alone.
--
-- contract: receipts_begin_with_their_payments takes the place of receipts_begin_as_allocated
set local lock_timeout = '2s';

-- Updates the totals of the invoice, or of both invoices if a payment moves to another one, and the total of the receipt
-- whose money a payment is: each is the sum of what is there. If a check of an invoice or a receipt refuses that, the whole
-- statement fails. An allocation is dated neither before its receipt nor before its invoice, and only the whole of it is
-- taken back. A payment without a receipt is refunded without one. `old` is null in an insert, and `new` in a delete.
-- Payments of receipts are only ever added.
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
      beyond numeric;
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
              where invoice_id = invoices.id and payments.school_id = school
            )
        where id = any(moved) and school_id = school;
        -- A new receipt has its total already.
        if new.receipt_id is not null then
          update receipts
          set allocated_total = allocated.total
          from (
            select sum(case kind when 'PAYMENT' then amount else -amount end) as total
            from payments
            where receipt_id = new.receipt_id and payments.school_id = school
          ) as allocated
          where id = new.receipt_id and school_id = school and allocated_total <> allocated.total;
        end if;
      end if;
      if coalesce(new.receipt_id, old.receipt_id) is null and (tg_op <> 'INSERT' or new.kind = 'REFUND') then
        -- Otherwise the receipt could not be reversed any more.
        select sum(case kind when 'REFUND' then amount else -amount end) into beyond
        from payments
        where invoice_id = any(moved) and school_id = school and receipt_id is null
        group by invoice_id
        order by 1 desc
        limit 1;
        if beyond > 0 then
          raise exception 'payment % refunds money of receipts', coalesce(new.id, old.id)
            using errcode = 'integrity_constraint_violation',
                  constraint = 'payments_refund_no_money_of_receipts',
                  table = 'payments',
                  detail = json_build_object('beyond', amount_text(beyond));
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

-- Refuses an invoice of a run that is not being committed in this transaction, or whose number is not of the run's block.
-- A unique index keeps two of them from one number.
create or replace function check_invoice_of_run() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    declare
      run record;
    begin
      select
        committed_at is not null and billing_runs.xmin = pg_current_xact_id()::xid as is_committed_now, number_year,
        first_number, invoices_count, invoice_prefix
      into run
      from billing_runs
      join schools on schools.id = billing_runs.school_id
      where billing_runs.id = new.billing_run_id and billing_runs.school_id = new.school_id;
      if run.is_committed_now is distinct from true
         or run.first_number is null and new.number is not null
         or run.first_number is not null and not coalesce(
           substring(new.number from '[0-9]+$')::bigint between run.first_number and run.first_number + run.invoices_count - 1
           and new.number = document_number(
             run.invoice_prefix, 'INVOICE', run.number_year, substring(new.number from '[0-9]+$')::bigint
           ),
           false
         )
      then
        raise exception 'invoice % is not of the commit of run %', new.number, new.billing_run_id
          using errcode = 'integrity_constraint_violation',
                constraint = 'invoices_of_runs_come_with_the_commit',
                table = 'invoices';
      end if;
      return new;
    end
  $function$;

-- Grants the early discount of an invoice, or takes it back, after money moved on the invoice or a payment changed its date.
--
-- It is granted over all that is left, if that is no more than was promised and every payment that stands came in time. It
-- stays as long as what is paid is enough, and what was paid in time was enough. It is taken back by the money that
-- leaves: what makes more owed, such as the reversal of a credit note, is no fault of the payer.
create or replace function settle_early_discount() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    declare
      invoice record;
      settled record;
      taken_back numeric := 0;
      closed_until timestamptz;
      dated_at timestamptz;
    begin
      if tg_table_name like 'payments%' then
        select
          id, school_id, total_amount, written_off_total, refunds_total, reversals_total, issued_at, early_discount,
          early_until, early_adjustment_id
        into invoice
        from invoices
        where id = new.invoice_id and school_id = new.school_id and early_discount is not null and voided_at is null
        for no key update;
        if not found then
          return null;
        end if;
      elsif new.voided_at is not null or new.early_adjustment_id is not null and new.paid_total >= old.paid_total then
        return null;
      else
        invoice := new;
      end if;
      -- A credit note that releases money has not moved its total yet, so the adjustments are summed.
      select paid, paid_in_time, adjusted, refunded_at into settled
      from (
        select
          coalesce(sum(change), 0) as paid,
          coalesce(sum(change) filter (where paid_at <= invoice.early_until), 0) as paid_in_time,
          -- Of this transaction.
          max(paid_at) filter (where kind = 'REFUND' and payments.xmin = pg_current_xact_id()::xid) as refunded_at
        from payments
        cross join lateral (select case kind when 'PAYMENT' then amount else -amount end as change) as movement
        where invoice_id = invoice.id and school_id = invoice.school_id
      ) as money
      cross join (
        select coalesce(sum(case when reverses_id is null then amount else -amount end), 0) as adjusted
        from adjustments
        where invoice_id = invoice.id and school_id = invoice.school_id
      ) as adjustments;
      if invoice.early_adjustment_id is not null
         and least(settled.paid, settled.paid_in_time) + settled.adjusted >= invoice.total_amount
      then
        return null;
      end if;
      -- Money of an open period can settle an invoice whose other money is of a closed one.
      select closes_at into closed_until
      from closings
      where school_id = invoice.school_id and reopened_at is null
      order by through desc
      limit 1;
      if invoice.early_adjustment_id is not null then
        insert into adjustments (school_id, invoice_id, reverses_id, kind, amount, reason, adjusted_at, updated_at)
        select
          school_id, invoice_id, id, kind, amount, 'The early payment was taken back', reversed_at,
          greatest(now(), reversed_at)
        from adjustments
        cross join lateral (select greatest(adjusted_at, settled.refunded_at) as moved_at) as moved
        cross join lateral (
          select case when moved_at <= closed_until then now() else moved_at end as reversed_at
        ) as dated
        where id = invoice.early_adjustment_id and school_id = invoice.school_id
        returning amount into taken_back;
      end if;
      dated_at := last_standing_payment_of(invoice.id, invoice.school_id);
      if invoice.total_amount - settled.paid - settled.adjusted + taken_back not between 0.01 and invoice.early_discount
         or dated_at > invoice.early_until
         or dated_at is null
         or invoice.written_off_total > 0
         -- An adjustment cannot be dated ahead.
         or invoice.issued_at > now()
      then
        return null;
      end if;
      dated_at := greatest(
        dated_at, invoice.issued_at,
        case
          when invoice.refunds_total > 0 or invoice.reversals_total > 0 or taken_back > 0
            then last_payment_of(invoice.id, invoice.school_id)
        end
      );
      if dated_at <= closed_until then
        dated_at := now();
      end if;
      insert into adjustments (school_id, invoice_id, kind, amount, reason, adjusted_at, updated_at)
      values (
        invoice.school_id, invoice.id, 'DISCOUNT',
        invoice.total_amount - settled.paid - settled.adjusted + taken_back, 'Early-payment discount', dated_at,
        greatest(now(), dated_at)
      );
      return null;
    end
  $function$;

-- As before, and the invoice knows the grant of its early discount, as long as that is not reversed.
create or replace function move_adjusted_totals() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    declare
      change numeric := case when new.reverses_id is null then new.amount else -new.amount end;
      -- Only settle_early_discount adds a discount from within a trigger.
      is_early boolean := new.kind = 'DISCOUNT' and new.reverses_id is null and pg_trigger_depth() > 1;
      earliest timestamptz;
    begin
      update invoices
      set credited_total = credited_total + case when new.kind = 'CREDIT_NOTE' then change else 0 end,
          discounted_total = discounted_total + case when new.kind = 'DISCOUNT' then change else 0 end,
          written_off_total = written_off_total + case when new.kind = 'WRITE_OFF' then change else 0 end,
          reversals_total = reversals_total + greatest(-change, 0),
          early_adjustment_id = case when is_early then new.id else nullif(early_adjustment_id, new.reverses_id) end
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

-- As the version before seals entries.
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

-- The functions stay as they are, but for the hint.
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
