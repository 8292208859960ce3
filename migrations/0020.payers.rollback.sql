drop table if exists student_payers;
drop function if exists keep_share();
drop function if exists refuse_partial_shares();
drop table if exists payers;
