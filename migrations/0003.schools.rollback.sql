drop table if exists schools;
drop function if exists keep_school();
drop function if exists end_of_day(date, text);
