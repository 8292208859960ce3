-- A page of schools in the order of their ids, which is the order of their creation. The keyset (id > :after)
-- starts each page where the last one ended; the caller asks for one row more than it shows.
select id, name, currency, time_zone, created_at, updated_at
from schools
where id > :after
  and (:tenant::uuid is null or id = :tenant)
order by id
limit :limit offset :offset
