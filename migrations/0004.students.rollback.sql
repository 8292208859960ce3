drop table if exists students;
