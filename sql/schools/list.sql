-- A page of schools, ordered by id, the newest first or last. It begins after :after; :limit is one more than the page
-- shows. PostgreSQL plans each list for the values of each request, so a filter that is null costs nothing
-- (plan_for_these_values() in 0016.plain_text_and_lists.sql).
select id, name, currency, time_zone, address, payment_instructions, iban, invoice_prefix, created_at, updated_at
from schools
where (:tenant::uuid is null or id = :tenant)
  and case when :newest_first then id < :after else id > :after end
  and (:offset::bigint is not null or plan_for_these_values())
order by case when not :newest_first then id end, case when :newest_first then id end desc
limit :limit offset :offset
