-- The first :limit audit entries that do not fit their chain, and why; no rows if all fit. Each hash is computed again
-- from the entry and the stored hash before it, so only the changed entry is named and not all later ones.
with links as (
  select
    id, school_id, position, hash,
    lag(position, 1, 0::bigint) over chain as position_before,
    audit_link(
      null, lag(hash) over chain,
      audit_digest(
        id, school_id, entity, entity_id, action, actor, database_role, request_id, created_at, row_before, row_after
      )
    ) as expected_hash
  from audit_log
  where hash is not null
  window chain as (partition by school_id order by position)
)
select
  id, school_id, position,
  case
    when position <> position_before + 1 then 'an entry before this one is missing'
    else 'this entry, or the one before it, is not what was sealed'
  end as finding
from links
where position <> position_before + 1
   or hash <> expected_hash
order by school_id, position
limit :limit
