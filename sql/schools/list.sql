-- A page of schools, ordered by id. A page starts after the last id of the page before (:after); :limit is one more
-- than the page shows.
select id, name, currency, time_zone, address, payment_instructions, created_at, updated_at
from schools
where id > :after
  and (:tenant::uuid is null or id = :tenant)
order by id
limit :limit offset :offset
