-- A page of the audit trail, ordered by id. A day is a day of the entry's school, or of UTC if it has none.
select
  id, school_id, entity, entity_id, action, actor, database_role, request_id, row_before, row_after,
  position, encode(hash, 'hex') as hash, created_at
from audit_log
where (:tenant::uuid is null or audit_log.school_id = :tenant)
  and (:school_id::uuid is null or audit_log.school_id = :school_id)
  and (:entity_id::uuid is null or entity_id = :entity_id)
  and (:entities::text[] is null or entity = any(:entities))
  and (:actor::text is null or actor = :actor)
  and (:action::text is null or action = :action)
  -- An id contains its moment, so the index on it leads to a day; no zone is further than a day from UTC.
  and (:starts_on::date is null or id >= first_id_of(:starts_on - 1))
  and (:ends_on::date is null or id < first_id_of(:ends_on + 2))
  and (
    coalesce(:starts_on::date, :ends_on) is null
    or (created_at at time zone coalesce(
      (
        select time_zone
        from schools
        where schools.id = audit_log.school_id
          and (:tenant::uuid is null or schools.id = :tenant)
      ), 'UTC'
    ))::date between coalesce(:starts_on, '-infinity') and coalesce(:ends_on, 'infinity')
  )
  and case when :newest_first then id < :after else id > :after end
  and (:offset::bigint is not null or plan_for_these_values())
order by case when not :newest_first then id end, case when :newest_first then id end desc
limit :limit offset :offset
