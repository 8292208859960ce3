-- No two invoices of a school have one number, and no two receipts; also the indexes to find a document by it.
--
-- transactional: false

drop index concurrently if exists invoices_number_key;
create unique index concurrently invoices_number_key on invoices (number, school_id) where number is not null;
drop index concurrently if exists receipts_number_key;
create unique index concurrently receipts_number_key on receipts (number, school_id) where number is not null;
