drop trigger if exists invoices_totals_match_movements on invoices;
drop trigger if exists invoices_start_without_movements on invoices;
drop table if exists payments;
drop function if exists invoice_totals_match_movements();
drop function if exists check_invoice_totals(uuid, uuid);
