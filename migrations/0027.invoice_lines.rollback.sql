drop trigger if exists invoices_total_follows_lines on invoices;
drop function if exists lines_of_invoice(uuid, uuid);
drop table if exists invoice_lines;
drop function if exists refuse_other_lines();
