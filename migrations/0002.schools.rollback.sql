drop table if exists schools;
