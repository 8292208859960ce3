-- One movement: a row, or none where it is not the tenant's.
-- On Citus: routed to the school's shard where the caller is bound to one; else it asks every shard.
select
  id, school_id, invoice_id, kind, amount, method, reference, paid_at, created_at, updated_at
from payments
where id = :payment_id
  and (:tenant::uuid is null or school_id = :tenant)
