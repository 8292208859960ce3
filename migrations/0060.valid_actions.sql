-- Checks the rows that existed before this constraint. It reads the table and keeps nobody out.
set local lock_timeout = '2s';

alter table audit_log validate constraint audit_log_action_known;
