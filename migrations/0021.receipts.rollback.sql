drop function if exists allocations_of_receipt(uuid, uuid);
drop function if exists refunds_of_receipt(uuid, uuid);
drop view if exists receipt_allocations;
drop view if exists receipt_entries;
drop view if exists account_entries;
drop trigger if exists invoices_keep_their_payer on invoices;
drop trigger if exists invoices_issued_before_allocations on invoices;
drop trigger if exists payments_allocations_stay on payments;
drop trigger if exists payments_keep_their_receipt on payments;
drop function if exists last_payment_of(uuid, uuid);
drop function if exists start_of_movement(date, uuid, uuid);
drop function if exists last_movement_of(uuid, uuid);
drop function if exists keep_issue_before_allocations();
alter table payments
  drop column if exists reverses_id,
  drop column if exists receipt_id,
  drop column if exists reason;
alter table invoices drop column if exists payer_id;
drop table if exists receipt_refunds;
drop table if exists receipts;
drop function if exists move_receipt_refunds();
drop function if exists refuse_spent_reversal();

create or replace function set_updated_at() returns trigger
  language plpgsql
  as $function$
    begin
      new.updated_at := greatest(now(), old.updated_at + interval '1 microsecond');
      return new;
    end
  $function$;
drop function if exists updated_at_after(timestamptz, int);

create or replace function refuse_handwritten_total() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
  as $function$
    begin
      raise exception 'the totals of invoice % follow from its payments', new.id
        using errcode = 'integrity_constraint_violation',
              constraint = 'invoices_totals_follow_payments',
              table = 'invoices';
    end
  $function$;

create or replace function keep_currency() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    begin
      perform 1 from schools where id = old.id for update;
      perform 1 from students where school_id = old.id order by id for update;
      if exists (select 1 from invoices where school_id = old.id) then
        raise exception 'school % has invoices in %', old.id, old.currency
          using errcode = 'integrity_constraint_violation', constraint = 'schools_currency_is_fixed', table = 'schools';
      end if;
      return new;
    end
  $function$;

create or replace view account_entries as
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
