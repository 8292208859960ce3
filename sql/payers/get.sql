-- One payer: one row, or none if the tenant has no such payer.
select id, school_id, kind, name, email, phone, external_id, language, payment_reference(id) as payment_reference,
  created_at, updated_at
from payers
where id = :payer_id
  and (:tenant::uuid is null or school_id = :tenant)
