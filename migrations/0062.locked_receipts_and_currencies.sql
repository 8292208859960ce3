-- What a receipt says after its row was waited for, and when a school's currency is fixed.
set local lock_timeout = '2s';

-- The allocations and refunds of a receipt whose row this statement has locked. It is volatile, so it also sees what
-- others committed while the statement waited for the lock, as the row of the receipt does.
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
