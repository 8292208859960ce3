-- No two payers of a school have one payment reference; also the index to find a payer by it.
--
-- transactional: false

drop index concurrently if exists payers_payment_reference_key;
create unique index concurrently payers_payment_reference_key on payers (payment_reference(id), school_id);
