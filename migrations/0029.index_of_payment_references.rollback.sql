-- transactional: false
drop index concurrently if exists payers_payment_reference_key;
