drop table if exists invoices;
