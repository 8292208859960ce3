-- Indexes for the payer of an invoice and the receipt of a payment, on tables that are in use.
--
-- transactional: false

-- A payer's invoices; also the index of the foreign key.
drop index concurrently if exists invoices_payer_id_school_id_idx;
create index concurrently invoices_payer_id_school_id_idx on invoices (payer_id, school_id) where payer_id is not null;
-- A receipt's allocations; also the index of the foreign key.
drop index concurrently if exists payments_receipt_id_school_id_idx;
create index concurrently payments_receipt_id_school_id_idx on payments (receipt_id, school_id) where receipt_id is not null;
-- An allocation is taken back at most once.
drop index concurrently if exists payments_reverses_id_key;
create unique index concurrently payments_reverses_id_key on payments (reverses_id, school_id) where reverses_id is not null;
