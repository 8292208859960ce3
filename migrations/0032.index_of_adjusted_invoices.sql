-- The invoices with adjustments, which are few: with it, a statement of an account without any reads nothing more. A payment
-- changes none of these columns, so its update stays cheap (HOT).
--
-- transactional: false

drop index concurrently if exists invoices_adjusted_idx;
create index concurrently invoices_adjusted_idx on invoices (school_id, student_id, id)
  where credited_total > 0 or discounted_total > 0 or written_off_total > 0 or reversals_total > 0;
