-- The rows that belong to a row which a statement has locked. These functions are volatile, so they also see what others
-- committed while the statement waited for the lock, as the locked row does. The statement itself sees what was there when
-- it began. And a school's currency is fixed by every amount.
set local lock_timeout = '2s';

-- The lines of an invoice, as lines_of_invoice gives them.
create or replace function lines_of_locked_invoice(invoice uuid, school uuid) returns jsonb
  language plpgsql volatile
  set search_path = public, pg_temp
  as $function$
    begin
      return lines_of_invoice(invoice, school);
    end
  $function$;

-- The items of a version of a fee plan, and then its rules, as lines_of_plan gives them.
create or replace function lines_of_locked_plan(plan uuid, school uuid, of_version integer) returns jsonb
  language plpgsql volatile
  set search_path = public, pg_temp
  as $function$
    begin
      return lines_of_plan(plan, school, of_version, false) || lines_of_plan(plan, school, of_version, true);
    end
  $function$;

-- The allocations and refunds of a receipt.
create or replace function movements_of_locked_receipt(
  receipt uuid, school uuid, out allocations jsonb, out refunds jsonb
)
  language plpgsql volatile
  set search_path = public, pg_temp
  as $function$
    begin
      select allocations_of_receipt(receipt, school), refunds_of_receipt(receipt, school) into allocations, refunds;
    end
  $function$;

create or replace function keep_currency() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    begin
      perform 1 from schools where id = old.id for update;
      perform 1 from students where school_id = old.id order by id for update;
      if exists (select 1 from invoices where school_id = old.id)
         or exists (select 1 from receipts where school_id = old.id)
         or exists (select 1 from fee_plans where school_id = old.id)
         or exists (select 1 from awards where school_id = old.id)
      then
        raise exception 'school % has amounts in %', old.id, old.currency
          using errcode = 'integrity_constraint_violation', constraint = 'schools_currency_is_fixed', hint = 'schools_currency_is_fixed', table = 'schools';
      end if;
      return new;
    end
  $function$;
