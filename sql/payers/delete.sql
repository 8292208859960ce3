-- The deleted payer: one row, or none if the tenant has no such payer or :if_match does not list its version. Foreign keys
-- refuse a payer with invoices, receipts or shares.
with author as materialized (select written_by(:request_actor, :request_id) as noted)
delete from payers
where (select noted from author)
  and id = :payer_id
  and (:tenant::uuid is null or school_id = :tenant)
  and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
returning id, school_id, kind, name, email, phone, external_id, language, payment_reference(id) as payment_reference,
  created_at, updated_at
