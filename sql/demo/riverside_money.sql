-- Adds what was paid and taken off on the invoices of the demo school Riverside Academy: one row with the numbers of students,
-- invoices, and payments and refunds, or none if the school has payments, or is not billed yet. Most families pay each
-- invoice directly. Those with payers pay by receipts over months and children. Some leave credit, one was a cheque that
-- bounced, and of two transfers nobody knows the payer.
with school as (
  select id
  from schools
  where id = '01980000-0000-7000-8000-000000000002'
    and exists (select 1 from invoices where invoices.school_id = schools.id and billing_run_id is not null)
    and not exists (select 1 from payments where payments.school_id = schools.id)
),
billed as materialized (
  select
    invoices.id, invoices.school_id, student_id, payer_id, total_amount, external_id, date_trunc('month', due_date::timestamp) as month
  from school
  join invoices on invoices.school_id = school.id and billing_run_id is not null
  join students on students.id = student_id and students.school_id = invoices.school_id
),
drawn_invoices as materialized (
  -- The outcome is a number from 0 to 99; drawn_payments says what it means.
  select
    id, school_id, student_id, total_amount, external_id || to_char(month, '-YYYY-MM') as reference,
    month at time zone 'Europe/Madrid' + interval '9 hours' as month_starts,
    month at time zone 'Europe/Madrid' + interval '3 days 9 hours' as void_since,
    ('x' || left(md5('fate ' || external_id || month), 7))::bit(28)::int % 100 as outcome,
    ('x' || left(md5('days ' || external_id || month), 7))::bit(28)::int % 12 as days,
    (array['bank_transfer', 'bank_transfer', 'card', 'cash', 'direct_debit'])[
      1 + ('x' || left(md5('method ' || external_id), 7))::bit(28)::int % 5
    ] as method,
    external_id = 'RIV-017' and month = timestamp '2025-12-01' as is_void
  from billed
  where payer_id is null
),
drawn_payments as (
  select
    id, school_id, kind, of_total * total_amount + plus as amount, method, reference || suffix as reference,
    month_starts + (days * pace + delay) * interval '1 day' as paid_at
  from drawn_invoices
  join (
    values
      (0, 59, 'PAYMENT', 1, 0, '', 1, 0),  -- Paid in time.
      (60, 67, 'PAYMENT', 0, 200.00, '-1', 1, 0),  -- Paid in two parts.
      (60, 67, 'PAYMENT', 1, -200.00, '-2', 1, 10),
      (68, 83, 'PAYMENT', 1, 0, '', 4, 20),  -- Paid late.
      (84, 90, 'PAYMENT', 0, 150.00, '', 1, 0),  -- Paid in part.
      (91, 96, 'PAYMENT', 1, 0, '', 1, 0),  -- Paid, and a part refunded. 97 to 99 are not paid at all.
      (91, 96, 'REFUND', 0, 45.00, '-R', 1, 7)
  ) as planned (from_outcome, to_outcome, kind, of_total, plus, suffix, pace, delay)
    on outcome between from_outcome and to_outcome
  where not is_void
),
new_payments as (
  insert into payments (school_id, invoice_id, kind, amount, method, reference, paid_at)
  select school_id, id, kind, amount, method, reference, paid_at
  from drawn_payments
  order by paid_at
  returning id
),
void_invoice as (
  update invoices
  set voided_at = void_since,
      void_reason = 'Entered twice'
  from drawn_invoices
  where invoices.id = drawn_invoices.id and invoices.school_id = drawn_invoices.school_id and is_void
),
new_adjustments as (
  -- Of the first three invoices that nobody paid, a part is credited, a part is a discount, and all is written off.
  insert into adjustments (school_id, invoice_id, kind, amount, reason, adjusted_at)
  select
    school_id, id, (array['CREDIT_NOTE', 'DISCOUNT', 'WRITE_OFF'])[place], (array[120.00, 50.00, total_amount])[place],
    (array['No canteen for two weeks', 'Goodwill after a complaint', 'The family moved away'])[place],
    month_starts + interval '40 days'
  from (
    select id, school_id, month_starts, total_amount, row_number() over (order by month_starts, student_id) as place
    from drawn_invoices
    where outcome >= 97 and not is_void
  ) as unpaid
  where place <= 3
),
drawn_receipts as materialized (
  -- A receipt pays the payer's invoices of `months` months from `first_month` on, in the order in which they are due, as
  -- far as it reaches.
  select
    ('01980000-0000-7000-8003-' || lpad((first_number + turn)::text, 12, '0'))::uuid as id,
    school.id as school_id, payers.id as payer_id, payers.name as payer_name, amount, method, reference,
    first_month + turn * months * interval '1 month' as from_month,
    first_month + (turn + 1) * months * interval '1 month' as to_month,
    (first_month + ((turn + 1) * months - 1) * interval '1 month') at time zone 'Europe/Madrid' + days * interval '1 day'
      as received_at,
    bounced_after, first_number + turn as number
  from (
    values
      (1001, 'P-1001', 1, 1, 1300.00, 'bank_transfer', 'Molina', timestamp '2025-09-01', 4.4, null::interval),
      (1002, 'P-1001', 9, 1, 1188.95, 'bank_transfer', 'Molina', timestamp '2025-10-01', 4.4, null),
      (1011, 'P-1002', 10, 1, 210.00, 'direct_debit', 'Felix', timestamp '2025-09-01', 9.5, null),
      (1021, 'P-1003', 4, 1, 210.00, 'card', null, timestamp '2025-09-01', 12.7, null),
      (1025, 'P-1003', 1, 1, 100.00, 'cash', null, timestamp '2026-01-01', 19.5, null),
      (1026, 'P-1004', 3, 3, 1200.00, 'bank_transfer', 'Okafor, Sato', timestamp '2025-09-01', 11.4, null),
      (1029, 'P-1005', 10, 1, 210.00, 'bank_transfer', 'Emeka', timestamp '2025-09-01', 6.4, null),
      (1039, 'P-1006', 8, 1, 190.00, 'card', null, timestamp '2025-09-01', 13.8, null),
      (1047, 'P-1007', 4, 1, 813.50, 'cheque', null, timestamp '2025-09-01', 7.4, null),
      (1051, 'P-1007', 1, 1, 813.50, 'cheque', null, timestamp '2026-01-01', 7.4, interval '7 days'),
      (1052, 'P-1007', 1, 1, 813.50, 'cash', null, timestamp '2026-01-01', 20.5, null),
      (1053, 'P-1007', 1, 2, 2000.00, 'bank_transfer', 'Haddad', timestamp '2026-02-01', 5.4, null),
      (1054, null, 1, 1, 380.00, 'bank_transfer', 'Colegio mayo', timestamp '2026-05-01', 3.4, null),
      (1055, null, 1, 1, 465.50, 'bank_transfer', 'Transferencia', timestamp '2026-06-01', 9.4, null)
  ) as planned (first_number, payer, turns, months, amount, method, reference, first_month, days, bounced_after)
  cross join school
  cross join generate_series(0, turns - 1) as turn
  left join payers on payers.external_id = payer and payers.school_id = school.id
),
new_receipts as (
  insert into receipts (
    id, school_id, payer_id, payer_name, amount, method, reference, source, external_reference, received_at, reversed_at,
    reverse_reason
  )
  select
    id, school_id, payer_id, payer_name, amount, method, reference, case when method = 'bank_transfer' then 'bank' end,
    case when method = 'bank_transfer' then to_char(received_at at time zone 'Europe/Madrid', 'YYYY-MM-DD/') || number end, received_at,
    received_at + bounced_after, case when bounced_after is not null then 'The cheque bounced' end
  from drawn_receipts
  order by id
  returning id
),
in_turn as (
  select
    drawn_receipts.id as receipt_id, drawn_receipts.school_id, billed.id as invoice_id, total_amount, method,
    reference, received_at, bounced_after,
    amount - coalesce(sum(total_amount) over (
      partition by drawn_receipts.id
      order by month, billed.id rows between unbounded preceding and 1 preceding
    ), 0) as left_for_it
  from drawn_receipts
  join billed on billed.payer_id = drawn_receipts.payer_id and month >= from_month and month < to_month
),
allocations as materialized (
  select
    uuidv7() as id, school_id, invoice_id, receipt_id, least(total_amount, left_for_it) as amount, method, reference,
    received_at, bounced_after
  from in_turn
  where left_for_it > 0
),
new_allocations as (
  insert into payments (id, school_id, invoice_id, receipt_id, reverses_id, kind, amount, method, reference, reason, paid_at)
  select id, school_id, invoice_id, receipt_id, null, 'PAYMENT', amount, method, reference, null, received_at
  from allocations
  union all
  select
    uuidv7(), school_id, invoice_id, receipt_id, id, 'REFUND', amount, method, reference, 'The cheque bounced',
    received_at + bounced_after
  from allocations
  where bounced_after is not null
  order by 11, 6, 1
  returning id
)
select
  (select count(distinct student_id) from billed)::int as students, (select count(*) from billed)::int as invoices,
  (select count(*) from new_payments)::int + (select count(*) from new_allocations)::int as payments
from school
