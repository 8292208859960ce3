-- The version of the statements of a school, or of a student's or payer's school: one row, or none if there is no such
-- school, student or payer, or it is not the tenant's. A version is the number of changes in the school's audit trail,
-- the last of them, the school's day (balances are aged on it) and the date of the last invoice until now (an invoice
-- that is dated ahead appears when its time comes). So every committed change makes a new version. A change to another
-- student costs one computation, and never gives a wrong figure.
with school as (
  select id, (now() at time zone time_zone)::date as today
  from schools
  where id = coalesce(
      :school_id::uuid,
      (
        select school_id from students where students.id = :student_id::uuid and (:tenant::uuid is null or students.school_id = :tenant)
      ),
      (
        select school_id from payers where payers.id = :payer_id::uuid and (:tenant::uuid is null or payers.school_id = :tenant)
      )
    )
    and (:tenant::uuid is null or schools.id = :tenant)
)
select
  -- Positions count the sealed entries without a gap.
  coalesce(
    (
      select position
      from audit_log
      where audit_log.school_id = school.id
        and (:tenant::uuid is null or audit_log.school_id = :tenant)
        and position is not null
      order by position desc limit 1
    ), 0
  ) + (
    select count(*)
    from audit_log
    where audit_log.school_id = school.id
      and (:tenant::uuid is null or audit_log.school_id = :tenant)
      and hash is null
  ) as changes,
  (
    select audit_log.id
    from audit_log
    where audit_log.school_id = school.id
      and (:tenant::uuid is null or audit_log.school_id = :tenant)
    order by audit_log.id desc
    limit 1
  ) as newest,
  today,
  (
    select max(issued_at)
    from invoices
    where invoices.school_id = school.id
      and (:tenant::uuid is null or invoices.school_id = :tenant)
      and issued_at <= now()
  ) as issued_until
from school
