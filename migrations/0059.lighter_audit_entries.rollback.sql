drop trigger if exists audit_log_entries_begin on audit_log;
create or replace trigger audit_log_append_only
  before insert or update or delete on audit_log
  for each row execute function keep_audit_log();
alter table audit_log
  drop constraint if exists audit_log_action_known,
  add constraint audit_log_action_known
    check (action in ('INSERT', 'UPDATE', 'DELETE', 'LOGIN', 'LOGIN_FAILED', 'TOKEN_REUSED')) not valid;
drop function if exists is_audited_action(text);
