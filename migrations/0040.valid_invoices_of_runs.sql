-- Checks the rows that existed before these constraints. It reads the tables and keeps nobody out.
set local lock_timeout = '2s';

alter table invoices validate constraint invoices_billing_run_id_fkey;
alter table invoices validate constraint invoices_of_runs_are_whole;
