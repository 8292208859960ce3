-- A new receipt is recorded with what its payments allocate: an UPDATE of the same row would take a tenth of the statement.
-- And money of a receipt is refunded from the receipt alone.
--
-- contract: receipts_begin_as_allocated takes the place of receipts_begin_unspent
set local lock_timeout = '2s';

-- Updates the totals of the invoice, or of both invoices if a payment moves to another one, and the total of the receipt
-- whose money a payment is: each is the sum of what is there. If a check of an invoice or a receipt refuses that, the whole
-- statement fails. An allocation is dated neither before its receipt nor before its invoice, and only the whole of it is
-- taken back. A payment without a receipt is refunded without one. `old` is null in an insert, and `new` in a delete. Payments of receipts are only ever added.
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
              where invoice_id = invoices.id and school_id = invoices.school_id
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

-- Refuses a new receipt that says that it is spent, if nothing was. If it has payments, then their trigger has counted them.
create or replace function refuse_unspent_total() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    begin
      if new.refunded_total <> 0
         or not exists (select 1 from payments where receipt_id = new.id and payments.school_id = new.school_id)
      then
        raise exception 'the totals of receipt % follow from its movements', new.id
          using errcode = 'integrity_constraint_violation',
                constraint = 'receipts_totals_follow_movements',
                table = 'receipts';
      end if;
      return null;
    end
  $function$;

drop trigger if exists receipts_begin_unspent on receipts;
create or replace trigger receipts_begin_as_allocated
  after insert on receipts
  for each row when (new.allocated_total <> 0 or new.refunded_total <> 0)
  execute function refuse_unspent_total();
