drop table if exists student_payers;
drop function if exists refuse_change_of_movement();
drop function if exists refuse_partial_shares();
drop table if exists payers;
