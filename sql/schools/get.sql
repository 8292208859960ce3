-- One school: one row, or none if it is not the tenant.
select id, name, currency, time_zone, address, payment_instructions, iban, invoice_prefix, created_at, updated_at
from schools
where id = :school_id
  and (:tenant::uuid is null or id = :tenant)
