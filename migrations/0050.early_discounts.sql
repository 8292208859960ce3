-- What an invoice costs less if it is paid early: frozen at its issue, granted by the payment that completes it in time, and
-- taken back with that payment.
--
-- contract: constraints are dropped only to be added again
set local lock_timeout = '2s';

alter table invoices
  add column if not exists early_discount numeric(12, 2),
  -- The last moment at which a payment is early.
  add column if not exists early_until timestamptz,
  -- The adjustment that granted the discount, as long as it counts.
  add column if not exists early_adjustment_id uuid;
alter table invoices
  drop constraint if exists invoices_early_discount_is_whole,
  add constraint invoices_early_discount_is_whole check ((early_discount is null) = (early_until is null)) not valid,
  drop constraint if exists invoices_early_discount_in_range,
  add constraint invoices_early_discount_in_range
    check (early_discount > 0 and early_discount < total_amount) not valid,
  drop constraint if exists invoices_early_adjustment_id_fkey,
  add constraint invoices_early_adjustment_id_fkey foreign key (early_adjustment_id, school_id)
    references adjustments (id, school_id) on delete restrict not valid;

-- As before, and the invoice knows the grant of its early discount, as long as that is not reversed.
create or replace function move_adjusted_totals() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    declare
      change numeric := case when new.reverses_id is null then new.amount else -new.amount end;
      earliest timestamptz;
    begin
      update invoices
      set credited_total = credited_total + case new.kind when 'CREDIT_NOTE' then change else 0 end,
          discounted_total = discounted_total + case new.kind when 'DISCOUNT' then change else 0 end,
          written_off_total = written_off_total + case new.kind when 'WRITE_OFF' then change else 0 end,
          reversals_total = reversals_total + greatest(-change, 0),
          early_adjustment_id = case
            -- Only settle_early_discount adds a discount from within a trigger.
            when new.kind = 'DISCOUNT' and new.reverses_id is null and pg_trigger_depth() > 1 then new.id
            else nullif(early_adjustment_id, new.reverses_id)
          end
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

-- The date of the last payment of an invoice that was not taken back; null if there is no such payment. It is volatile,
-- so that a statement which waited for a payment sees it.
create or replace function last_standing_payment_of(invoice uuid, school uuid) returns timestamptz
  language plpgsql volatile
  set search_path = public, pg_temp
  as $function$
    begin
      return (
        select max(paid_at)
        from payments
        where invoice_id = invoice and school_id = school and kind = 'PAYMENT'
          and not exists (
            select 1 from payments as later where later.reverses_id = payments.id and later.school_id = payments.school_id
          )
      );
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
          max(paid_at) filter (where kind = 'REFUND' and created_at = now()) as refunded_at
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

create or replace trigger invoices_settle_their_early_discount
  after update of payments_total, refunds_total on invoices
  for each row when (new.early_discount is not null)
  execute function settle_early_discount();
-- The date alone moves no total.
create or replace trigger payments_settle_early_discounts
  after update of paid_at on payments
  for each row when (new.paid_at <> old.paid_at)
  execute function settle_early_discount();

-- As before, and for the columns of the early discount as well.
create or replace trigger invoices_begin_unpaid
  before insert on invoices
  for each row when (
    new.payments_total <> 0
    or new.refunds_total <> 0
    or new.credited_total <> 0
    or new.discounted_total <> 0
    or new.written_off_total <> 0
    or new.reversals_total <> 0
    or new.early_adjustment_id is not null
  )
  execute function refuse_handwritten_total();
create or replace trigger invoices_keep_their_run
  before update of billing_run_id, fee_plan_id, period, instalment, early_discount, early_until on invoices
  for each row when (
    new.billing_run_id is distinct from old.billing_run_id
    or new.fee_plan_id is distinct from old.fee_plan_id
    or new.period is distinct from old.period
    or new.instalment is distinct from old.instalment
    or new.early_discount is distinct from old.early_discount
    or new.early_until is distinct from old.early_until
  )
  execute function refuse_change_of_movement('invoices_run_is_fixed');
create or replace trigger invoices_fit_the_currency
  after insert or update of total_amount on invoices
  for each row when (new.total_amount <> trunc(new.total_amount) or new.early_discount <> trunc(new.early_discount))
  execute function refuse_cents();
