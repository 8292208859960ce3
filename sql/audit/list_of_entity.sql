-- A page of the audit entries of one row, by the index on (entity_id, id).
select
  id, school_id, entity, entity_id, action, actor, database_role, request_id, row_before, row_after,
  position, encode(hash, 'hex') as hash, created_at
from audit_log
where entity_id = :entity_id
  and id > :after
  and (:school_id::uuid is null or school_id = :school_id)
  and (:tenant::uuid is null or school_id = :tenant)
  and (:entity::text is null or entity = :entity)
order by id
limit :limit offset :offset
