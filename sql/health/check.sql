-- One row: the database accepts a connection and runs a query.
select 'ok' as status
