-- transactional: false
drop index concurrently if exists payments_reverses_id_key;
drop index concurrently if exists payments_receipt_id_school_id_idx;
drop index concurrently if exists invoices_payer_id_school_id_idx;
