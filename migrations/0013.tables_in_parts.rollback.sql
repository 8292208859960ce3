-- As they were, told a table's own name alone.
create or replace function append_to_audit_log() returns trigger
  -- As its owner, so that the role of the application needs no right to write entries itself.
  language plpgsql security definer
  -- The rows are kept as text would show them, and that must not depend on whose session it is.
  set timezone = 'UTC'
  as $function$
    declare
      row_before jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) - array['password_hash', 'key_hash'] end;
      row_after jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) - array['password_hash', 'key_hash'] end;
      present jsonb := coalesce(row_after, row_before);
    begin
      insert into audit_log (school_id, entity, entity_id, action, actor, request_id, row_before, row_after)
      values (
        coalesce(
          (case when tg_table_name = 'schools' then present ->> 'id' else present ->> 'school_id' end)::uuid,
          '00000000-0000-0000-0000-000000000000'
        ),
        tg_table_name,
        (present ->> 'id')::uuid,
        tg_op,
        coalesce(nullif(current_setting('school_billing.actor', true), ''), 'role:' || session_user),
        nullif(current_setting('school_billing.request_id', true), ''),
        row_before,
        row_after
      );
      return null;
    end
  $function$;

do $migration$
begin
  -- pg_temp is searched first unless it is named: a temporary table of the same name would take our place.
  execute format('alter function %s set search_path = %I, pg_temp', 'append_to_audit_log()', current_schema());
end
$migration$;

create or replace function invoice_totals_match_movements() returns trigger
  language plpgsql
  as $function$
    begin
      if tg_table_name = 'invoices' then
        perform check_invoice_totals(new.id, new.school_id);
        return null;
      end if;
      if tg_op <> 'DELETE' then
        perform check_invoice_totals(new.invoice_id, new.school_id);
      end if;
      if tg_op = 'DELETE' or (tg_op = 'UPDATE' and old.invoice_id <> new.invoice_id) then
        perform check_invoice_totals(old.invoice_id, old.school_id);
      end if;
      return null;
    end
  $function$;
