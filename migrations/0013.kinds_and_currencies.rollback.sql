drop trigger if exists schools_keep_their_currency on schools;
drop function if exists keep_currency();
drop trigger if exists payments_fit_the_currency on payments;
drop trigger if exists invoices_fit_the_currency on invoices;
drop function if exists refuse_cents();
alter table schools drop constraint if exists schools_currency_fits_the_books;
drop function if exists currency_decimals(text);
drop trigger if exists payments_keep_their_kind on payments;
drop function if exists keep_kind();
