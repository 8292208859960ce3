drop aggregate if exists audit_chain(bytea, bytea);
drop function if exists audit_link(bytea, bytea, bytea);
drop function if exists audit_digest(audit_log);
drop table if exists audit_log;
drop function if exists refuse_truncate();
drop function if exists keep_audit_log();
drop function if exists append_login_to_audit_log(text, uuid, uuid, text, text, jsonb);
drop function if exists append_to_audit_log();
drop function if exists written_by(text, text);
