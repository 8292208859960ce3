-- The movement that was recorded, and its currency: a row, or none where there is no such invoice or it is not the
-- tenant's.
--
-- One statement moves the invoice's totals and inserts the movement. Two payers of one invoice queue at the
-- UPDATE, and each sees what the one before it left; the invoice's checks refuse the one too many, and then
-- nothing is inserted either. An idempotency key is claimed before the queue and kept with the answer after it.
-- On Citus: in steps, each routed to the school's shard where the caller is bound to one; else one asks every shard.
with claim as materialized (
  -- Before anything else, and whatever else is found: see the filter on it.
  select claim_idempotency_key(:idempotency_scope, :idempotency_key, :fingerprint) as granted
),
moved_invoice as (
  update invoices
  set payments_total = payments_total + case when :kind::text = 'PAYMENT' then :amount::numeric(12, 2) else 0 end,
      refunds_total = refunds_total + case when :kind::text = 'REFUND' then :amount::numeric(12, 2) else 0 end,
      updated_at = greatest(now(), (invoices.updated_at at time zone 'UTC' + interval '1 microsecond') at time zone 'UTC')
  from written_by(:actor, :request_id)
  where (select granted from claim)
    and id = :invoice_id
    and (:tenant::uuid is null or school_id = :tenant)
  returning id, school_id
),
new_payment as (
  insert into payments (school_id, invoice_id, kind, amount, method, reference, paid_at)
  select
    moved_invoice.school_id, moved_invoice.id, :kind::text, :amount::numeric(12, 2), :method, :reference,
    coalesce(:paid_at, now())
  from moved_invoice
  returning id, school_id, invoice_id, kind, amount, method, reference, paid_at, created_at, updated_at
),
school as materialized (
  -- For the metrics; here it costs a look-up by primary key, and anywhere else a round trip.
  select currency
  from schools
  where id = (select school_id from new_payment)
    and (:tenant::uuid is null or id = :tenant)
)
select
  id, school_id, invoice_id, kind, amount, method, reference, paid_at, created_at, updated_at,
  (select currency from school) as currency
from new_payment
cross join lateral remember_answer(:idempotency_scope, :idempotency_key, to_jsonb(new_payment))
