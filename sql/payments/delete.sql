-- The movement that was deleted: a row, or none where it is not the tenant's. The same statement takes it off the
-- invoice's totals; the invoice's checks refuse it where a refund would be left without its payment.
with deleted as (
  delete from payments
  using written_by(:actor, :request_id)
  where id = :payment_id
    and (:tenant::uuid is null or school_id = :tenant)
  returning
    id, school_id, invoice_id, kind, amount, method, reference, paid_at, created_at, updated_at
),
moved_invoice as (
  update invoices
  set payments_total = payments_total - case when deleted.kind = 'PAYMENT' then deleted.amount else 0 end,
      refunds_total = refunds_total - case when deleted.kind = 'REFUND' then deleted.amount else 0 end,
      updated_at = now()
  from deleted
  where invoices.id = deleted.invoice_id
    and invoices.school_id = deleted.school_id
)
select
  id, school_id, invoice_id, kind, amount, method, reference, paid_at, created_at, updated_at
from deleted
