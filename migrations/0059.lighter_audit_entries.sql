-- Lighter entries of the audit trail: a run of 50,000 invoices writes as many of them in one statement.
--
-- contract: a constraint is dropped only to be added again
set local lock_timeout = '2s';

create or replace function is_audited_action(value text) returns boolean
  language plpgsql immutable strict parallel safe
  as $function$
    begin
      return value in ('INSERT', 'UPDATE', 'DELETE', 'LOGIN', 'LOGIN_FAILED', 'TOKEN_REUSED');
    end
  $function$;

alter table audit_log
  drop constraint if exists audit_log_action_known,
  add constraint audit_log_action_known check (is_audited_action(action)) not valid;

-- What the defaults of the columns give to the entries of append_to_audit_log(), the trigger gives to all others: their id,
-- time and role are not the writer's choice.
create or replace trigger audit_log_append_only
  before update or delete on audit_log
  for each row execute function keep_audit_log();
create or replace trigger audit_log_entries_begin
  before insert on audit_log
  for each row when (pg_trigger_depth() = 0)
  execute function keep_audit_log();
