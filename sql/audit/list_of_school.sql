-- A page of the audit entries of one school, by the index on (school_id, id).
select
  id, school_id, entity, entity_id, action, actor, database_role, request_id, row_before, row_after,
  position, encode(hash, 'hex') as hash, created_at
from audit_log
where school_id = :school_id
  and id > :after
  and (:tenant::uuid is null or school_id = :tenant)
  and (:entity::text is null or entity = :entity)
order by id
limit :limit offset :offset
