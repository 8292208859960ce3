-- Checks the rows that existed before this constraint. It reads the table and keeps nobody out.
set local lock_timeout = '2s';

alter table invoices validate constraint invoices_totals_not_negative;
