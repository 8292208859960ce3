drop trigger if exists invoices_with_lines_keep_their_total on invoices;
drop function if exists lines_of_invoice(uuid, uuid);
drop table if exists invoice_lines;
drop function if exists keep_total_of_lines();
drop function if exists refuse_other_lines();
