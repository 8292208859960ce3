-- How many entries this sealed: one row. Entries that are committed and not yet sealed go to the end of their schools'
-- chains, in the order of their ids. One that was committed later although its id is smaller is
-- sealed later: the chain says what was there when, not who began first.
--
-- Two sealers do not work at once: the second finds the lock taken and seals nothing.
with alone as (
  select pg_try_advisory_xact_lock(7404031550207116801) as yes
),
waiting as materialized (
  select audit_log.id, audit_log.school_id, audit_digest(audit_log) as digest
  from audit_log
  where hash is null
    and (select yes from alone)
  order by id
  limit :limit
),
tips as (
  select schools_waiting.school_id, tip.position, tip.hash
  from (select distinct school_id from waiting) as schools_waiting
  left join lateral (
    select position, hash
    from audit_log
    where audit_log.school_id = schools_waiting.school_id and position is not null
    order by position desc
    limit 1
  ) as tip on true
),
seals as (
  select
    waiting.id,
    waiting.school_id,
    coalesce(tips.position, 0) + row_number() over chain as position,
    audit_chain(tips.hash, waiting.digest) over chain as hash
  from waiting
  join tips on tips.school_id = waiting.school_id
  window chain as (partition by waiting.school_id order by waiting.id)
),
sealed as (
  update audit_log
  set position = seals.position,
      hash = seals.hash
  from seals
  where audit_log.id = seals.id and audit_log.school_id = seals.school_id
  returning audit_log.id
)
select count(*)::int as sealed
from sealed
