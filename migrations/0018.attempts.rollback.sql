drop function if exists count_attempt(bytea, int, int, bytea);
alter table login_throttles drop column if exists account;
