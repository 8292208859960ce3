-- Every invoice of a school as of a moment, with the student it is raised on, in the order of their ids: a row each. They
-- are the lines of school_as_of.sql, by the rules that student_as_of.sql states; but each invoice's movements are looked
-- up as it is reached, so that the first row is there at once and a cursor needs no more memory for a million.
-- On Citus: routed to the school's shard.
select
  invoices.id,
  invoices.student_id,
  students.full_name,
  students.external_id,
  invoices.total_amount::text as total_amount,
  to_char(invoices.issued_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as issued_at,
  invoices.due_date,
  invoices.description,
  sums.payments_total::text as payments_total,
  sums.refunds_total::text as refunds_total,
  sums.paid_total::text as paid_total,
  (case when standing.is_void then 0.00 else invoices.total_amount - sums.paid_total end)::text as balance_due,
  case
    when standing.is_void then 'VOID'
    -- Below nothing where a refund is dated before the payment that it gives back.
    when sums.paid_total <= 0 then 'PENDING'
    when sums.paid_total < invoices.total_amount then 'PARTIAL'
    else 'PAID'
  end as status
from schools
cross join lateral (
  -- The last moment of a day is the one before the next begins: days are not all of 24 hours.
  select coalesce(
    :as_of::timestamptz,
    (:as_of_date::date + 1)::timestamp at time zone schools.time_zone - interval '1 microsecond'
  ) as as_of
) as account
join invoices on invoices.school_id = schools.id and invoices.issued_at <= account.as_of
join students on students.id = invoices.student_id and students.school_id = invoices.school_id
cross join lateral (
  select invoices.voided_at is not null
    and greatest(invoices.voided_at, invoices.issued_at) <= account.as_of as is_void
) as standing
cross join lateral (
  select
    coalesce(sum(amount) filter (where kind = 'PAYMENT'), 0.00) as payments_total,
    coalesce(sum(amount) filter (where kind = 'REFUND'), 0.00) as refunds_total,
    coalesce(sum(case kind when 'PAYMENT' then amount else -amount end), 0.00) as paid_total
  from payments
  where payments.invoice_id = invoices.id
    and payments.school_id = invoices.school_id
    and payments.school_id = :school_id
    -- least() passes over a null: one that is not void sets no end.
    and greatest(least(payments.paid_at, invoices.voided_at), invoices.issued_at) <= account.as_of
) as sums
where schools.id = :school_id
  and invoices.school_id = :school_id
  and (:tenant::uuid is null or schools.id = :tenant)
order by invoices.id
