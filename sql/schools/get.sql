-- One school: a row, or none where it is not the tenant's.
-- On Citus: routed to the school's shard.
select id, name, currency, time_zone, created_at, updated_at
from schools
where id = :school_id
  and (:tenant::uuid is null or id = :tenant)
