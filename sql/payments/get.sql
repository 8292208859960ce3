-- One movement: a row, or none where it is not the tenant's.
select
  id, school_id, invoice_id, kind, amount, method, reference, paid_at, created_at, updated_at
from payments
where id = :payment_id
  and (:tenant::uuid is null or school_id = :tenant)
