-- transactional: false
drop index concurrently if exists fee_plan_items_early_discount_key;
drop index concurrently if exists fee_plan_items_late_fee_key;
