-- transactional: false
drop index concurrently if exists invoices_adjusted_idx;
