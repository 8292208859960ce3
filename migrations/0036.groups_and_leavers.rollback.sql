alter table students drop column if exists left_on;
alter table students drop column if exists group_name;
