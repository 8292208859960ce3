-- transactional: false
drop index concurrently if exists invoices_early_adjustment_id_school_id_idx;
