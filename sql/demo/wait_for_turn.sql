-- One row, when no other seed is at work. The transaction keeps others waiting.
select pg_advisory_xact_lock(7404031550207116803) is not null as is_first
