-- The movement that was deleted: a row, or none where it is not the tenant's or is of another version than :if_match
-- lists. The same statement takes it off the invoice's totals; the invoice's checks refuse it where a refund would be
-- left without its payment.
-- On Citus: routed to the school's shard where the caller is bound to one; else refused.
with deleted as (
  delete from payments
  using written_by(:actor, :request_id)
  where id = :payment_id
    and (:tenant::uuid is null or school_id = :tenant)
    and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
  returning
    id, school_id, invoice_id, kind, amount, method, reference, paid_at, created_at, updated_at
),
locked_invoice as (
  -- With what it holds now that it is locked, as in update.sql: the movement may have changed while this waited for it.
  select
    invoices.id,
    invoices.school_id,
    invoices.total_amount,
    invoices.voided_at,
    invoices.void_reason,
    invoices.payments_total - case when deleted.kind = 'PAYMENT' then deleted.amount else 0 end as payments_total,
    invoices.refunds_total - case when deleted.kind = 'REFUND' then deleted.amount else 0 end as refunds_total
  from invoices
  join deleted on deleted.invoice_id = invoices.id and deleted.school_id = invoices.school_id
  where (:tenant::uuid is null or invoices.school_id = :tenant)
  for no key update of invoices
),
moved_invoice as (
  update invoices
  set total_amount = locked_invoice.total_amount,
      voided_at = locked_invoice.voided_at,
      void_reason = locked_invoice.void_reason,
      payments_total = locked_invoice.payments_total,
      refunds_total = locked_invoice.refunds_total,
      updated_at = greatest(now(), (invoices.updated_at at time zone 'UTC' + interval '1 microsecond') at time zone 'UTC')
  from locked_invoice
  where invoices.id = locked_invoice.id
    and invoices.school_id = locked_invoice.school_id
    and (:tenant::uuid is null or invoices.school_id = :tenant)
)
select
  id, school_id, invoice_id, kind, amount, method, reference, paid_at, created_at, updated_at
from deleted
