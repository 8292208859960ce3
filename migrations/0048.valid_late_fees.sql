-- Checks the rows that existed before these constraints. It reads the tables and keeps nobody out.
set local lock_timeout = '2s';

alter table billing_runs validate constraint billing_runs_kind_known;
alter table invoices validate constraint invoices_late_invoice_id_fkey;
alter table invoices validate constraint invoices_late_fees_are_whole;
