drop table if exists api_keys;

-- As it was before there were keys.
create or replace function append_to_audit_log() returns trigger
  -- As its owner, so that the role of the application needs no right to write entries itself.
  language plpgsql security definer
  -- The rows are kept as text would show them, and that must not depend on whose session it is.
  set timezone = 'UTC'
  as $function$
    declare
      row_before jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) - 'password_hash' end;
      row_after jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) - 'password_hash' end;
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
