drop table if exists login_throttles;
