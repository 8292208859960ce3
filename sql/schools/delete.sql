-- The deleted school: one row, or none if the tenant has no such school or :if_match does not list its version. Foreign
-- keys refuse a school with students, users or API keys.
with author as materialized (select written_by(:request_actor, :request_id) as noted)
delete from schools
where (select noted from author)
  and id = :school_id
  and (:tenant::uuid is null or id = :tenant)
  and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
returning id, name, currency, time_zone, address, payment_instructions, iban, invoice_prefix, created_at, updated_at
