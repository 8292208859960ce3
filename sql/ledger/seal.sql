-- Seals up to :limit committed audit entries of :school_id, or of all schools without it: one row with their number. They
-- go to the end of the chains of their schools, ordered by id. An entry that commits later is sealed later, even if its id
-- is smaller.
--
-- A second sealer finds the lock taken and seals nothing.
with lock as (select pg_try_advisory_xact_lock(7404031550207116801) as is_taken),
waiting as materialized (
  select
    id, school_id,
    audit_digest(
      id, school_id, entity, entity_id, action, actor, database_role, request_id, created_at, row_before, row_after
    ) as digest
  from audit_log
  where hash is null
    and (:school_id::uuid is null or school_id = :school_id)
    and (select is_taken from lock)
  order by id
  limit :limit
),
chain_ends as (
  select schools_waiting.school_id, last_entry.position, last_entry.hash
  from (select distinct school_id from waiting) as schools_waiting
  left join lateral (
    select position, hash
    from audit_log
    where audit_log.school_id = schools_waiting.school_id
      and (:school_id::uuid is null or audit_log.school_id = :school_id)
      and position is not null
    order by position desc
    limit 1
  ) as last_entry on true
),
seals as (
  select
    waiting.id, waiting.school_id,
    coalesce(chain_ends.position, 0) + row_number() over chain as position,
    audit_chain(chain_ends.hash, waiting.digest) over chain as hash
  from waiting
  join chain_ends on chain_ends.school_id = waiting.school_id
  window chain as (partition by waiting.school_id order by waiting.id)
),
sealed as (
  update audit_log
  set position = seals.position,
      hash = seals.hash
  from seals
  where audit_log.id = seals.id and audit_log.school_id = seals.school_id
    and (:school_id::uuid is null or audit_log.school_id = :school_id)
    -- Another sealer may have been faster since this statement's snapshot.
    and audit_log.hash is null
  returning audit_log.id
)
select count(*)::int as sealed
from sealed
