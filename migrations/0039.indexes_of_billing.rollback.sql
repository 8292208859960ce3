-- transactional: false
drop index concurrently if exists invoices_billing_run_id_school_id_idx;
drop index concurrently if exists invoices_billed_once_key;
