-- The changed payer: one row, or none if the tenant has no such payer or :if_match does not list its version. Null leaves
-- the kind and the name as they are; the parameters with _given tell a null from an absent value.
with author as materialized (select written_by(:request_actor, :request_id) as noted)
update payers
set kind = coalesce(:kind, kind),
    name = coalesce(:name, name),
    email = case when :email_given then :email else email end,
    phone = case when :phone_given then :phone else phone end,
    external_id = case when :external_id_given then :external_id else external_id end,
    language = case when :language_given then :language else language end
where (select noted from author)
  and id = :payer_id
  and (:tenant::uuid is null or school_id = :tenant)
  and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
returning id, school_id, kind, name, email, phone, external_id, language, payment_reference(id) as payment_reference,
  created_at, updated_at
