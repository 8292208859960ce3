-- One row that says ok: the database takes a connection and runs a query.
-- On Citus: answered on the coordinator.
select 'ok' as status
