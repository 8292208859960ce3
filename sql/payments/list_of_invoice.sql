-- A page of one invoice's payments and refunds, ordered by id. The index on invoice_id finds them, and they are few
-- enough to sort. Days are days of the school.
select
  payments.id, payments.school_id, payments.invoice_id, payments.kind, payments.amount, schools.currency,
  payments.method, payments.reference, payments.paid_at, payments.created_at, payments.updated_at
from payments
join schools on schools.id = payments.school_id
where payments.invoice_id = :invoice_id
  and payments.id > :after
  and (:school_id::uuid is null or payments.school_id = :school_id)
  and (:tenant::uuid is null or payments.school_id = :tenant)
  and (:kind::text is null or payments.kind = :kind)
  and (:method::text is null or payments.method = :method)
  and (:reference::text is null or payments.reference = :reference)
  and (:paid_from::date is null or (payments.paid_at at time zone schools.time_zone)::date >= :paid_from)
  and (:paid_to::date is null or (payments.paid_at at time zone schools.time_zone)::date <= :paid_to)
order by payments.id
limit :limit offset :offset
