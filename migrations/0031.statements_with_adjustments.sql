-- Adjustments in the entries of accounts and in the parts of statements. The functions and types of before, with fewer
-- parameters and fields, stay for the version that runs meanwhile.
set local lock_timeout = '2s';

-- As before, and adjustments. A reversal is a kind of its own. Its description is the reason, and its reference the number of
-- the credit note. An invoice whose totals are zero has none, which spares most statements the look at the table.
create or replace view account_entries as
select
  school_id, student_id, id as invoice_id, null::uuid as payment_id, issued_at, issued_at as happened_at, 1 as turn,
  'INVOICE' as kind, total_amount as amount, total_amount as change, description, null as method, null as reference,
  payer_id, null::uuid as receipt_id, null::uuid as adjustment_id
from invoices
union all
select
  payments.school_id, student_id, invoice_id, payments.id, issued_at, counts_from(paid_at, issued_at, voided_at), 2,
  kind, amount, case kind when 'PAYMENT' then -amount else amount end, null, method, reference, payer_id, receipt_id, null
from payments
join invoices on invoices.id = payments.invoice_id and invoices.school_id = payments.school_id
union all
select
  adjustments.school_id, student_id, invoice_id, null, issued_at, counts_from(adjusted_at, issued_at, voided_at), 2,
  case when reverses_id is null then kind else kind || '_REVERSAL' end, amount,
  case when reverses_id is null then -amount else amount end, reason, null, adjustments.number, payer_id, null,
  adjustments.id
from invoices
join adjustments on adjustments.invoice_id = invoices.id and adjustments.school_id = invoices.school_id
where credited_total > 0 or discounted_total > 0 or written_off_total > 0 or reversals_total > 0
union all
-- Checks refuse to void an invoice with something paid or adjusted, so its whole amount goes.
select
  school_id, student_id, id, null, issued_at, counts_from(voided_at, issued_at, null), 3, 'VOID', total_amount,
  -total_amount, description, null, null, payer_id, null, null
from invoices
where voided_at is not null;

do $migration$
begin
  if to_regtype('account_totals') is null then
    create type account_totals as (
      invoiced_total text, credited_total text, discounted_total text, written_off_total text, payments_total text,
      refunds_total text, paid_total text, balance_due_total text, overdue_total text
    );
    create type account_line as (
      id uuid, student_id uuid, total_amount text, issued_at text, due_date date, description text, credited_total text,
      discounted_total text, written_off_total text, payments_total text, refunds_total text, paid_total text,
      balance_due text, status text
    );
  end if;
end
$migration$;

-- Sums over invoices. Overdue is everything owed except bucket 0.
create or replace function statement_totals_of(
  invoiced numeric, credited numeric, discounted numeric, written_off numeric, payments numeric, refunds numeric,
  balance_due numeric, not_overdue numeric
) returns account_totals
  language sql immutable parallel safe
  return row(
    amount_text(invoiced), amount_text(credited), amount_text(discounted), amount_text(written_off),
    amount_text(payments), amount_text(refunds), amount_text(payments - refunds), amount_text(balance_due),
    amount_text(balance_due - coalesce(not_overdue, 0))
  )::account_totals;

-- An invoice at the moment of a statement.
create or replace function statement_line_of(
  id uuid, student_id uuid, total_amount numeric, issued_at timestamptz, due_date date, description text,
  credited_total numeric, discounted_total numeric, written_off_total numeric, payments_total numeric,
  refunds_total numeric, balance_due numeric, status text
) returns account_line
  language sql stable parallel safe
  return row(
    id, student_id, amount_text(total_amount), instant_text(issued_at), due_date, description,
    amount_text(credited_total), amount_text(discounted_total), amount_text(written_off_total),
    amount_text(payments_total), amount_text(refunds_total), amount_text(payments_total - refunds_total),
    amount_text(balance_due), status
  )::account_line;
