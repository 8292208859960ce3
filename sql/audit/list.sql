-- A page of the audit trail, ordered by id. The two files beside this one use an index for one row or one school.
select
  id, school_id, entity, entity_id, action, actor, database_role, request_id, row_before, row_after,
  position, encode(hash, 'hex') as hash, created_at
from audit_log
where id > :after
  and (:tenant::uuid is null or school_id = :tenant)
  and (:entity::text is null or entity = :entity)
order by id
limit :limit offset :offset
