-- Which version of a school's statements, or of one of its students', there is now: a row, or none where there is no such
-- thing or it is not the tenant's. A version is the number of changes in the school's audit trail, the last of them, the
-- school's day (balances are aged on it) and the date of the last invoice until now (one dated ahead comes by itself).
-- Every committed change makes a new version. One to another student costs a computation, and never a wrong figure.
--
-- The hash at the end of the chain and that of the unsealed ids tell whether a standby has exactly these changes. Two
-- transactions that end together may become visible there in another order, so their number and the last are not enough.
with school as (
  select id, (now() at time zone time_zone)::date as today
  from schools
  where id = coalesce(:school_id::uuid, (select school_id from students where students.id = :student_id::uuid))
    and (:tenant::uuid is null or id = :tenant)
),
sealed as (
  select position as entries, hash as head
  from audit_log
  where school_id = (select id from school)
    and position is not null
  order by position desc
  limit 1
),
unsealed as (
  select count(*) as entries, sha256(convert_to(string_agg(id::text, ' ' order by id), 'UTF8')) as ids
  from audit_log
  where school_id = (select id from school)
    and hash is null
)
select
  coalesce((select entries from sealed), 0) + (select entries from unsealed) as changes,
  (select audit_log.id from audit_log where school_id = school.id order by audit_log.id desc limit 1) as newest,
  today,
  (select max(issued_at) from invoices where school_id = school.id and issued_at <= now()) as issued_until,
  (select head from sealed) as head,
  (select ids from unsealed) as unsealed,
  now() as asked_at,
  pg_is_in_recovery() as in_recovery
from school
