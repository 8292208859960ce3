-- The index of the foreign key to the adjustment that granted an early discount.
--
-- transactional: false

drop index concurrently if exists invoices_early_adjustment_id_school_id_idx;
create index concurrently invoices_early_adjustment_id_school_id_idx
  on invoices (early_adjustment_id, school_id)
  where early_adjustment_id is not null;
