drop trigger if exists invoices_written_off_take_no_payments on invoices;
drop trigger if exists invoices_adjusted_are_not_voided on invoices;
drop trigger if exists invoices_begin_unpaid on invoices;
drop trigger if exists invoices_totals_follow_payments on invoices;
drop trigger if exists invoices_changes_are_audited on invoices;
drop trigger if exists invoices_have_possible_balances on invoices;
drop table if exists adjustment_lines;
drop table if exists adjustments;
drop function if exists release_allocations(uuid, uuid, numeric, timestamptz, text);
drop function if exists refuse_because_adjusted();
drop function if exists move_adjusted_totals();
drop function if exists refuse_other_adjustment_lines();
drop function if exists lines_of_adjustment(uuid, uuid);

alter table invoices
  drop column if exists balance_due,
  drop column if exists status,
  drop constraint if exists invoices_adjustments_not_negative,
  drop constraint if exists invoices_none_adjusted_when_void,
  drop constraint if exists invoices_paid_at_most_total,
  drop column if exists credited_total,
  drop column if exists discounted_total,
  drop column if exists written_off_total,
  drop column if exists reversals_total,
  add column balance_due numeric(18, 2) not null generated always as (
    case when voided_at is null then total_amount - payments_total + refunds_total else 0 end
  ) stored,
  add column status text not null generated always as (
    invoice_status(voided_at is not null, payments_total - refunds_total, total_amount)
  ) stored,
  add constraint invoices_paid_at_most_total check (payments_total - refunds_total <= total_amount);
drop function if exists invoice_status(boolean, numeric, numeric, numeric, numeric);

create or replace function refuse_impossible_balance() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    declare
      invoice record;
      wrong record;
      facts text;
    begin
      if tg_table_name like 'payments%' then
        -- Two changes of dates, each possible without the other, wait for each other here.
        select id, school_id, total_amount, refunds_total into invoice
        from invoices
        where id = new.invoice_id and school_id = new.school_id
        for no key update;
        if invoice.refunds_total = 0 then
          return null;
        end if;
      else
        invoice := new;
      end if;
      select happened_at, balance into wrong
      from (
        select happened_at, sum(change) over (order by happened_at) as balance
        from account_entries
        where invoice_id = invoice.id and school_id = invoice.school_id
      ) as balances
      where balance not between 0 and invoice.total_amount
      order by happened_at
      limit 1;
      if not found then
        return null;
      end if;
      select
        json_build_object(
          'date', (wrong.happened_at at time zone time_zone)::date,
          'total_amount', amount_text(invoice.total_amount),
          'balance_due', amount_text(wrong.balance)
        )
      into facts
      from schools
      where id = invoice.school_id;
      if wrong.balance < 0 then
        raise exception 'more than the total of invoice % would be paid at %', invoice.id, wrong.happened_at
          using errcode = 'integrity_constraint_violation',
                constraint = 'invoices_paid_at_most_total_on_every_day',
                table = 'invoices',
                detail = facts;
      end if;
      raise exception 'more would be refunded than paid on invoice % at %', invoice.id, wrong.happened_at
        using errcode = 'integrity_constraint_violation',
              constraint = 'invoices_refunded_at_most_paid_on_every_day',
              table = 'invoices',
              detail = facts;
    end
  $function$;

create or replace function keep_issue_before_allocations() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    begin
      if exists (
        select 1
        from payments
        where invoice_id = new.id and school_id = new.school_id and receipt_id is not null and paid_at < new.issued_at
      ) then
        raise exception 'money was allocated to invoice % before %', new.id, new.issued_at
          using errcode = 'integrity_constraint_violation',
                constraint = 'invoices_issued_before_allocations',
                table = 'invoices';
      end if;
      return null;
    end
  $function$;

create or replace function last_payment_of(invoice uuid, school uuid) returns timestamptz
  language plpgsql stable
  set search_path = public, pg_temp
  as $function$
    begin
      return (select least(max(paid_at), now()) from payments where invoice_id = invoice and school_id = school);
    end
  $function$;

create or replace trigger invoices_begin_unpaid
  before insert on invoices
  for each row when (new.payments_total <> 0 or new.refunds_total <> 0)
  execute function refuse_handwritten_total();
create or replace trigger invoices_totals_follow_payments
  before update on invoices
  for each row when (
    pg_trigger_depth() = 0
    and (new.payments_total, new.refunds_total) is distinct from (old.payments_total, old.refunds_total)
  )
  execute function refuse_handwritten_total();
create or replace trigger invoices_changes_are_audited
  after update on invoices
  for each row when (
    (new.payments_total, new.refunds_total) is not distinct from (old.payments_total, old.refunds_total)
  )
  execute function append_to_audit_log();
create or replace trigger invoices_have_possible_balances
  after update on invoices
  for each row when (new.refunds_total > 0)
  execute function refuse_impossible_balance();
