-- Checks the rows that existed before these constraints. It reads the tables and keeps nobody out.
set local lock_timeout = '2s';

alter table invoices validate constraint invoices_early_discount_is_whole;
alter table invoices validate constraint invoices_early_discount_in_range;
alter table invoices validate constraint invoices_early_adjustment_id_fkey;
