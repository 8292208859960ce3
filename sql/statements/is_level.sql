-- Whether this server is a standby of the primary that gave a position (position.sql), and has replayed it: one row.
--
-- Statements use now(), so the clocks are compared, too: on a server whose clock is behind, the last payment would be in
-- the future. A standby confirms a new timeline some minutes after its primary was promoted, and is not level until then.
select
  pg_is_in_recovery()
  and pg_last_wal_replay_lsn() >= :position::text::pg_lsn
  and now() between :asked_at and :asked_at + interval '2 seconds'
  and system_identifier = :system_identifier
  and (select oid::bigint from pg_database where datname = current_database()) = :database_id
  and greatest(timeline_id, min_recovery_end_timeline) = :timeline as is_level
from pg_control_system()
cross join pg_control_checkpoint()
cross join pg_control_recovery()
