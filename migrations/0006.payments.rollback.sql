drop view if exists account_entries;
drop function if exists counts_from(timestamptz, timestamptz, timestamptz);
drop table if exists payments;
drop function if exists move_invoice_totals();
