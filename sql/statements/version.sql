-- Which version of the statements of a school, or of one of its students, there is now: a row, or none where there is no such
-- thing or it is not the tenant's. It is how many changes the audit trail of the school has, the last of them, the school's day,
-- on which balances are aged, and the date of the last invoice until now, for one that is dated ahead comes by itself;
-- then what tells whether a standby has exactly these changes, the clock, and whether this is a standby.
--
-- Every committed change to the school, its students, invoices or movements is one more, visible to whoever may know of
-- it, and nothing has to be written for it. Sealed entries are numbered without a gap, so the last number
-- is their count; what is not sealed yet is counted, and is little. A change that is another student's makes a new
-- version, too, which costs a computation and never a wrong figure.
--
-- Two databases of which one replays the other need more than the count and the last: transactions that end at the same
-- time become visible to readers of a primary in another order than on its standby, so each may have one
-- that the other lacks, below a third that has the greatest id. The hash at the end of the chain and that of the
-- unsealed ids are equal only if the changes are the same.
-- On Citus: refused; see docs/scaling.md.
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
