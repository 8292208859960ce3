drop trigger if exists users_one_administrator_is_not_deleted on users;
drop trigger if exists users_one_administrator_stays on users;
drop function if exists keep_an_administrator();
