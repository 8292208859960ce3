-- A table may lie in parts: partitions, or shards on a cluster. A trigger then fires on a part and is told the name of that
-- (invoices_102244), so the two functions that ask for a table's name take the number off it. No table of ours ends in one.

-- As before, and with the name of the whole table.
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
      -- Without the number of the part.
      table_name text := rtrim(tg_table_name, '_0123456789');
    begin
      insert into audit_log (school_id, entity, entity_id, action, actor, request_id, row_before, row_after)
      values (
        coalesce(
          (case when table_name = 'schools' then present ->> 'id' else present ->> 'school_id' end)::uuid,
          '00000000-0000-0000-0000-000000000000'
        ),
        table_name,
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

-- The same.
create or replace function invoice_totals_match_movements() returns trigger
  language plpgsql
  as $function$
    begin
      if rtrim(tg_table_name, '_0123456789') = 'invoices' then
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
