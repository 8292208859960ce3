-- The role of `serve` with the least rights. The owner of the tables runs this once, after `migrate`; only `migrate`,
-- `rollback` and `distribute` need the owner. Then set a password (\password billing_service in psql).
--
-- The role cannot switch triggers off, change the schema, or delete audit entries.
create role billing_service login;
grant usage on schema public to billing_service;
grant select, insert, update, delete on all tables in schema public to billing_service;
revoke delete on audit_log from billing_service;
-- The tables of later migrations.
alter default privileges in schema public grant select, insert, update, delete on tables to billing_service;
