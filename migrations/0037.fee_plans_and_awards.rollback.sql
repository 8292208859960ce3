drop table if exists awards;
drop function if exists lines_of_plan(uuid, uuid, int, boolean);
drop table if exists fee_plan_items;
drop table if exists fee_plans;
