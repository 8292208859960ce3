-- No statement of any moment shows an invoice with less than nothing due, or with more refunded than paid.
set local lock_timeout = '2s';

-- Refuses a change after which, at some moment, less than nothing or more than the total is due on the invoice. The checks of
-- invoices hold only for the sums of now. The entries of account_entries say when each movement counts, so the balances are
-- those of the statements. Several movements of one moment are summed first.
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

-- Every change of an amount arrives here, because it moves the totals of the invoice. Without refunds the sum of the payments
-- only grows, so the checks of its end hold for every moment, and most payments cost nothing more.
create or replace trigger invoices_have_possible_balances
  after update on invoices
  for each row when (new.refunds_total > 0)
  execute function refuse_impossible_balance();
-- The only change of a payment that moves no total.
create or replace trigger payments_leave_possible_balances
  after update of paid_at on payments
  for each row when (new.paid_at <> old.paid_at)
  execute function refuse_impossible_balance();

-- The first moment of a school's day. When clocks go back at midnight or just after it, 00:00 comes twice, or the last hour of
-- the day before; when they go forward, 00:00 or the last microsecond before it may not exist. The earlier of the two is right
-- in each case.
create or replace function start_of_day(day date, time_zone text) returns timestamptz
  language sql stable parallel safe
  return least(
    day::timestamp at time zone time_zone,
    (day::timestamp - interval '1 microsecond') at time zone time_zone + interval '1 microsecond'
  );

create or replace function end_of_day(day date, time_zone text) returns timestamptz
  language sql stable parallel safe
  return start_of_day(day + 1, time_zone) - interval '1 microsecond';
