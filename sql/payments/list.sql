-- A page of all payments and refunds, ordered by id. The files beside this one use an index for one school or one
-- invoice. Days are days of the school.
select
  payments.id, payments.school_id, payments.invoice_id, payments.kind, payments.amount, schools.currency,
  payments.method, payments.reference, payments.paid_at, payments.created_at, payments.updated_at
from payments
join schools on schools.id = payments.school_id
where payments.id > :after
  and (:tenant::uuid is null or payments.school_id = :tenant)
  and (:kind::text is null or payments.kind = :kind)
  and (:method::text is null or payments.method = :method)
  and (:reference::text is null or payments.reference = :reference)
  and (:paid_from::date is null or (payments.paid_at at time zone schools.time_zone)::date >= :paid_from)
  and (:paid_to::date is null or (payments.paid_at at time zone schools.time_zone)::date <= :paid_to)
order by payments.id
limit :limit offset :offset
