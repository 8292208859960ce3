-- One row that says ok: the database takes a connection and runs a query.
select 'ok' as status
