set local lock_timeout = '5s';
alter table invoices reset (fillfactor);
