-- Which server this primary is, and where its write-ahead log ends: one row. All that is visible now was written before.
--
-- It is the insert position: with synchronous_commit off, a change is visible before the log is flushed. If a record
-- fills its page, that position is behind the header of the next page (40 bytes in the first page of a segment, else 24).
-- A standby stops before that header until another record comes, so the header is taken off.
select
  (
    position - case
      when file_offset = 40 then 40
      when file_offset % current_setting('wal_block_size')::int = 24 then 24
      else 0
    end
  )::text as position,
  system_identifier,
  (select oid::bigint from pg_database where datname = current_database()) as database_id,
  ('x' || left(file_name, 8))::bit(32)::int as timeline,
  now() as asked_at
from pg_current_wal_insert_lsn() as position
cross join pg_walfile_name_offset(position)
cross join pg_control_system()
