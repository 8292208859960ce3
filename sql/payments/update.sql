-- The movement as changed: a row, or none where it is not the tenant's, is of another version than :if_match lists, or
-- where the invoice that it should move to does not exist in its school.
--
-- One statement changes the movement and what it means to its invoice, or to both invoices where it moves from
-- one to another. Locks: the movement first, then the invoices in the order of their ids, so that two
-- movements that change places cannot wait for each other in a circle.
-- On Citus: routed to the school's shard where the caller is bound to one; else refused.
with before as (
  -- Whoever changes this movement at the same moment is waited for, and what they left is what is read, and what
  -- :if_match is compared with.
  select id, school_id, invoice_id, kind, amount
  from payments
  where id = :payment_id
    and (:tenant::uuid is null or school_id = :tenant)
    and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
  for update
),
after as (
  select
    id,
    school_id,
    coalesce(:invoice_id, invoice_id) as invoice_id,
    coalesce(:kind, kind) as kind,
    coalesce(:amount::numeric(12, 2), amount) as amount
  from before
),
effects as (
  select school_id, invoice_id, kind, -amount as amount from before
  union all
  select school_id, invoice_id, kind, amount from after
),
differences as (
  select
    school_id,
    invoice_id,
    coalesce(sum(amount) filter (where kind = 'PAYMENT'), 0) as payments,
    coalesce(sum(amount) filter (where kind = 'REFUND'), 0) as refunds
  from effects
  group by school_id, invoice_id
  having sum(amount) filter (where kind = 'PAYMENT') <> 0
      or sum(amount) filter (where kind = 'REFUND') <> 0
),
locked_invoices as (
  -- With what they hold now that they are locked. PostgreSQL tries the checks on a row made of what the UPDATE first
  -- saw, before it notices that the row has changed since; made of these values it is right the first time.
  select
    invoices.id,
    invoices.school_id,
    invoices.total_amount,
    invoices.voided_at,
    invoices.void_reason,
    invoices.payments_total + differences.payments as payments_total,
    invoices.refunds_total + differences.refunds as refunds_total
  from invoices
  join differences on differences.invoice_id = invoices.id and differences.school_id = invoices.school_id
  where (:tenant::uuid is null or invoices.school_id = :tenant)
  order by invoices.id
  for no key update of invoices
),
all_locked as (
  select (select count(*) from locked_invoices) = (select count(*) from differences) as yes
),
moved_invoices as (
  update invoices
  set total_amount = locked_invoices.total_amount,
      voided_at = locked_invoices.voided_at,
      void_reason = locked_invoices.void_reason,
      payments_total = locked_invoices.payments_total,
      refunds_total = locked_invoices.refunds_total,
      updated_at = greatest(now(), (invoices.updated_at at time zone 'UTC' + interval '1 microsecond') at time zone 'UTC')
  from locked_invoices
  where invoices.id = locked_invoices.id
    and invoices.school_id = locked_invoices.school_id
    and (:tenant::uuid is null or invoices.school_id = :tenant)
    and (select yes from all_locked)
  returning invoices.id
)
update payments
set invoice_id = after.invoice_id,
    kind = after.kind,
    amount = after.amount,
    method = case when :method_given then :method else payments.method end,
    reference = case when :reference_given then :reference else payments.reference end,
    paid_at = coalesce(:paid_at, payments.paid_at),
    updated_at = greatest(now(), (payments.updated_at at time zone 'UTC' + interval '1 microsecond') at time zone 'UTC')
from after
cross join written_by(:actor, :request_id)
where payments.id = after.id
  and payments.school_id = after.school_id
  and (:tenant::uuid is null or payments.school_id = :tenant)
  and (select count(*) from moved_invoices) = (select count(*) from differences)
returning
  payments.id, payments.school_id, payments.invoice_id, payments.kind, payments.amount, payments.method,
  payments.reference, payments.paid_at, payments.created_at, payments.updated_at
