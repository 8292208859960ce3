drop trigger if exists payments_settle_early_discounts on payments;
drop trigger if exists invoices_settle_their_early_discount on invoices;
drop function if exists settle_early_discount();
drop function if exists last_standing_payment_of(uuid, uuid);

-- As in 0030 and 0038.
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
          reversals_total = reversals_total + greatest(-change, 0)
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

create or replace trigger invoices_begin_unpaid
  before insert on invoices
  for each row when (
    new.payments_total <> 0
    or new.refunds_total <> 0
    or new.credited_total <> 0
    or new.discounted_total <> 0
    or new.written_off_total <> 0
    or new.reversals_total <> 0
  )
  execute function refuse_handwritten_total();
create or replace trigger invoices_keep_their_run
  before update of billing_run_id, fee_plan_id, period, instalment on invoices
  for each row when (
    new.billing_run_id is distinct from old.billing_run_id
    or new.fee_plan_id is distinct from old.fee_plan_id
    or new.period is distinct from old.period
    or new.instalment is distinct from old.instalment
  )
  execute function refuse_change_of_movement('invoices_run_is_fixed');
create or replace trigger invoices_fit_the_currency
  after insert or update of total_amount on invoices
  for each row when (new.total_amount <> trunc(new.total_amount))
  execute function refuse_cents();

alter table invoices
  drop constraint if exists invoices_early_adjustment_id_fkey,
  drop constraint if exists invoices_early_discount_in_range,
  drop constraint if exists invoices_early_discount_is_whole,
  drop column if exists early_adjustment_id,
  drop column if exists early_until,
  drop column if exists early_discount;
