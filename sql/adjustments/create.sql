-- The new credit note or discount with its lines: one row, or none if the tenant has no such invoice. A trigger of the table
-- moves the totals of the invoice. Parallel adjustments of one invoice queue at its row, and its checks refuse the one too
-- many. With :release, allocations are first taken back to their receipts, so far as the amount is not open. The number is
-- taken before the receipts and the invoice are locked. An idempotency key is claimed before anything else happens.
with claim as materialized (select coalesce(claim_idempotency_key(:request_idempotency_scope, :request_idempotency_key), true) as granted),
author as materialized (select written_by(:request_actor, :request_id) as noted),
invoice as (
  select invoices.id, school_id, currency, time_zone
  from invoices
  join schools on schools.id = invoices.school_id
  where (select granted from claim)
    and (select noted from author)
    and invoices.id = :invoice_id
    and (:tenant::uuid is null or invoices.school_id = :tenant)
    and (:tenant::uuid is null or schools.id = :tenant)
),
new_adjustment as (
  insert into adjustments (school_id, invoice_id, kind, amount, reason, adjusted_at)
  select
    school_id, id, :kind::text, :amount::numeric(12, 2), :reason,
    coalesce(:adjusted_at, start_of_day(:adjusted_on, time_zone), now())
  from invoice
  returning id, school_id, invoice_id, reverses_id, kind, number, amount, reason, adjusted_at, created_at, updated_at
),
new_lines as (
  insert into adjustment_lines (school_id, adjustment_id, position, description, category, amount, created_at)
  select
    new_adjustment.school_id, new_adjustment.id, lines.position, lines.description, lines.category, lines.amount, created_at
  from new_adjustment
  cross join unnest(:line_descriptions::text[], :line_categories::text[], :line_amounts::numeric[]) with ordinality
    as lines (description, category, amount, position)
  returning position, description, category, amount
),
released as materialized (
  select count(release_allocations(invoice_id, school_id, amount, adjusted_at, reason)) as calls
  from new_adjustment
  where :release::boolean
),
answer as (
  select
    new_adjustment.id, new_adjustment.school_id, invoice_id, reverses_id, kind, number, amount, currency, reason,
    adjusted_at, created_at, updated_at,
    (select coalesce(jsonb_agg(to_jsonb(new_lines) order by position), '[]') from new_lines) as lines
  from new_adjustment
  cross join invoice
  -- Names it, so that it runs.
  cross join released
)
select
  id, school_id, invoice_id, reverses_id, kind, number, amount, currency, reason, adjusted_at, created_at, updated_at,
  lines
from answer
cross join lateral remember_answer(:request_idempotency_scope, :request_idempotency_key, :request_fingerprint, to_jsonb(answer))
