drop view if exists account_entries;
drop function if exists statement_line_of(
  uuid, uuid, numeric, timestamptz, date, text, numeric, numeric, numeric, numeric, numeric, numeric, text
);
drop function if exists statement_totals_of(numeric, numeric, numeric, numeric, numeric, numeric, numeric, numeric);
drop type if exists account_line;
drop type if exists account_totals;

create view account_entries as
select
  school_id, student_id, id as invoice_id, null::uuid as payment_id, issued_at, issued_at as happened_at, 1 as turn,
  'INVOICE' as kind, total_amount as amount, total_amount as change, description, null as method, null as reference,
  payer_id, null::uuid as receipt_id
from invoices
union all
select
  payments.school_id, student_id, invoice_id, payments.id, issued_at, counts_from(paid_at, issued_at, voided_at), 2,
  kind, amount, case kind when 'PAYMENT' then -amount else amount end, null, method, reference, payer_id, receipt_id
from payments
join invoices on invoices.id = payments.invoice_id and invoices.school_id = payments.school_id
union all
-- A check refuses to void an invoice with something paid, so its whole amount goes.
select
  school_id, student_id, id, null, issued_at, counts_from(voided_at, issued_at, null), 3, 'VOID', total_amount,
  -total_amount, description, null, null, payer_id, null
from invoices
where voided_at is not null;
