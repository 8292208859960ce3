set local lock_timeout = '2s';

drop function if exists movements_of_locked_receipt(uuid, uuid);
drop function if exists lines_of_locked_plan(uuid, uuid, integer);
drop function if exists lines_of_locked_invoice(uuid, uuid);

-- As in 0061.
create or replace function keep_currency() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    begin
      perform 1 from schools where id = old.id for update;
      perform 1 from students where school_id = old.id order by id for update;
      if exists (select 1 from invoices where school_id = old.id)
         or exists (select 1 from receipts where school_id = old.id)
      then
        raise exception 'school % has invoices or receipts in %', old.id, old.currency
          using errcode = 'integrity_constraint_violation', constraint = 'schools_currency_is_fixed', hint = 'schools_currency_is_fixed', table = 'schools';
      end if;
      return new;
    end
  $function$;
