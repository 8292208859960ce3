-- Checks the rows that existed before these constraints. It reads the table and keeps nobody out.
set local lock_timeout = '2s';

alter table fee_plan_items validate constraint fee_plan_items_kind_known;
alter table fee_plan_items validate constraint fee_plan_items_fields_of_kind;
alter table fee_plan_items validate constraint fee_plan_items_after_days_in_range;
alter table fee_plan_items validate constraint fee_plan_items_minimum_positive;
alter table fee_plan_items validate constraint fee_plan_items_maximum_times_in_range;
alter table fee_plan_items validate constraint fee_plan_items_days_before_due_in_range;
