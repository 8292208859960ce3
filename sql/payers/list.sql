-- A page of payers, ordered by id. :q has the beginnings of words of the name, of the email address and of the external
-- id, in any order; its index finds them in one school.
select id, school_id, kind, name, email, phone, external_id, language, payment_reference(id) as payment_reference,
  created_at, updated_at
from payers
where (:tenant::uuid is null or school_id = :tenant)
  and (:school_id::uuid is null or school_id = :school_id)
  and (:external_id::text is null or lower(external_id) = lower(:external_id))
  and (:reference::text is null or payment_reference(id) = :reference)
  and (:email::text is null or lower(email) = lower(:email))
  and (
    :q::text is null
    or search_vector(school_id, name || ' ' || coalesce(email, '') || ' ' || coalesce(external_id, ''))
      @@ search_query(coalesce(:tenant, :school_id), :q)
  )
  and case when :newest_first then id < :after else id > :after end
  and (:offset::bigint is not null or plan_for_these_values())
order by case when not :newest_first then id end, case when :newest_first then id end desc
limit :limit offset :offset
