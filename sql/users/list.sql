-- A page of users, ordered by id. A tenant sees its own users, and not the users of all schools.
select id, username, role, school_id, disabled_at, password_changed_at, created_at, updated_at
from users
where id > :after
  and (:tenant::uuid is null or school_id = :tenant)
  and (:school_id::uuid is null or school_id = :school_id)
order by id
limit :limit offset :offset
