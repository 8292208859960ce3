alter table api_keys drop constraint if exists api_keys_name_plain;
alter table payments
  drop constraint if exists payments_method_plain,
  drop constraint if exists payments_reference_plain;
alter table invoices
  drop constraint if exists invoices_description_plain,
  drop constraint if exists invoices_void_reason_plain;
alter table students
  drop constraint if exists students_full_name_plain,
  drop constraint if exists students_external_id_plain,
  drop constraint if exists students_external_id_key,
  add constraint students_external_id_key unique (school_id, external_id);
alter table schools drop constraint if exists schools_name_plain;
drop function if exists first_id_of(date);
drop function if exists plan_for_these_values();

create or replace function keep_audit_log() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    begin
      if tg_op = 'INSERT' then
        new.position := null;
        new.hash := null;
        new.database_role := session_user;
        new.created_at := clock_timestamp();
        return new;
      end if;
      if tg_op = 'UPDATE' and old.hash is null and new.hash is not null
         and to_jsonb(new) - array['position', 'hash', 'updated_at'] = to_jsonb(old) - array['position', 'hash', 'updated_at']
      then
        return new;
      end if;
      raise exception 'the audit trail is only ever added to'
        using errcode = 'integrity_constraint_violation', constraint = 'audit_log_append_only', table = 'audit_log';
    end
  $function$;
