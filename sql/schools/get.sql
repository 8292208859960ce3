-- One school: a row, or none where it is not the tenant's.
select id, name, currency, time_zone, created_at, updated_at
from schools
where id = :school_id
  and (:tenant::uuid is null or id = :tenant)
