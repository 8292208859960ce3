drop trigger if exists invoice_lines_changes_are_audited on invoice_lines;
create or replace trigger invoice_lines_are_audited
  after insert or update or delete on invoice_lines
  for each row execute function append_to_audit_log();
drop function if exists comes_with_its_invoice(uuid, uuid, uuid);

-- As in 0002.
create or replace function append_to_audit_log() returns trigger
  -- As the owner, so that the role of the service needs no right to write entries.
  language plpgsql security definer
  -- PostgreSQL would search pg_temp first if it were not named, and could find a temporary table with this name there.
  set search_path = public, pg_temp
  -- Instants in the rows must not depend on the time zone of the session.
  set timezone = 'UTC'
  as $function$
    declare
      row_before jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) - array['password_hash', 'key_hash'] end;
      row_after jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) - array['password_hash', 'key_hash'] end;
      present jsonb := coalesce(row_after, row_before);
      -- On a partition or a shard, tg_table_name is the name of that part, such as invoices_102244.
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
