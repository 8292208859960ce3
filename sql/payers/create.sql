-- The new payer: one row, or none if the tenant has no such school. An idempotency key is claimed
-- before anything else happens.
with claim as materialized (select coalesce(claim_idempotency_key(:request_idempotency_scope, :request_idempotency_key), true) as granted),
author as materialized (select written_by(:request_actor, :request_id) as noted),
new_payer as (
  insert into payers (school_id, kind, name, email, phone, external_id, language)
  select schools.id, :kind, :name, :email, :phone, :external_id, :language
  from schools
  where (select granted from claim)
    and (select noted from author)
    and schools.id = :school_id
    and (:tenant::uuid is null or schools.id = :tenant)
  returning id, school_id, kind, name, email, phone, external_id, language, payment_reference(id) as payment_reference,
    created_at, updated_at
)
select id, school_id, kind, name, email, phone, external_id, language, payment_reference, created_at, updated_at
from new_payer
cross join lateral remember_answer(:request_idempotency_scope, :request_idempotency_key, :request_fingerprint, to_jsonb(new_payer))
