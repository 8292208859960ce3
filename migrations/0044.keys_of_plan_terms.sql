-- A version of a plan has one late fee for each number of days, and one early discount.
--
-- transactional: false

drop index concurrently if exists fee_plan_items_late_fee_key;
create unique index concurrently fee_plan_items_late_fee_key
  on fee_plan_items (fee_plan_id, school_id, version, after_days)
  where kind = 'late_fee';
drop index concurrently if exists fee_plan_items_early_discount_key;
create unique index concurrently fee_plan_items_early_discount_key
  on fee_plan_items (fee_plan_id, school_id, version)
  where kind = 'early_discount';
