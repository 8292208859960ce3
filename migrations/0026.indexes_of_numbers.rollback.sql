-- transactional: false
drop index concurrently if exists receipts_number_key;
drop index concurrently if exists invoices_number_key;
