-- Adds the demo school Springfield Elementary with the two students of the README, their payer, and a receipt that pays
-- nothing yet: one row with the numbers of rows that were added, zeros if the school already exists. All have the same ids
-- in every database, so that an example can name them.
with school as (
  insert into schools (id, name, currency, time_zone, address, payment_instructions)
  values (
    '01980000-0000-7000-8000-000000000001', 'Springfield Elementary', 'USD', 'America/Chicago',
    E'19 Plympton Street\nSpringfield',
    E'By bank transfer to Springfield Elementary, account 000123456 at the First Bank of Springfield.\n'
      'By card or in cash at the school office.'
  )
  on conflict on constraint schools_pkey do nothing
  returning id
),
new_students as (
  insert into students (id, school_id, full_name, external_id)
  select planned.id, school.id, planned.full_name, planned.external_id
  from school
  cross join (
    values
      (uuid '01980000-0000-7000-8001-000000000001', 'Lisa Simpson', 'SPR-001'),
      (uuid '01980000-0000-7000-8001-000000000002', 'Bart Simpson', 'SPR-002')
  ) as planned (id, full_name, external_id)
  returning id, school_id, external_id
),
new_payer as (
  insert into payers (id, school_id, name, email, phone, external_id, language)
  select
    '01980000-0000-7000-8002-000000000001', school.id, 'Marge Simpson', 'marge@springfield.example', '+1 417 555 0113',
    'SPR-P-001', 'en'
  from school
  returning id, school_id, name
),
new_receipt as (
  insert into receipts (
    id, school_id, payer_id, payer_name, amount, method, reference, source, external_reference, received_at
  )
  select
    '01980000-0000-7000-8003-000000000001', school_id, id, name, 100.00, 'bank_transfer', 'DEMO-RECEIPT-1', 'bank',
    '2026-02-03/0042', timestamptz '2026-02-03 15:00Z'
  from new_payer
),
shares as (
  insert into student_payers (school_id, student_id, payer_id, share)
  select new_payer.school_id, new_students.id, new_payer.id, 100
  from new_payer
  join new_students on new_students.school_id = new_payer.school_id
),
new_invoices as (
  insert into invoices (id, school_id, student_id, payer_id, total_amount, issued_at, due_date, description)
  select
    planned.id, new_students.school_id, new_students.id, new_payer.id, planned.total_amount, planned.issued_at,
    planned.due_date, 'Annual tuition'
  from new_students
  join new_payer on new_payer.school_id = new_students.school_id
  join (
    values
      (
        uuid '01980000-0000-7000-8000-000000000201', 'SPR-001', 1000.00,
        timestamptz '2026-01-05 13:00Z', date '2026-02-28'
      ),
      (
        uuid '01980000-0000-7000-8000-000000000202', 'SPR-002', 800.00,
        timestamptz '2026-01-05 13:00Z', date '2026-02-28'
      )
  ) as planned (id, external_id, total_amount, issued_at, due_date)
    using (external_id)
  returning id, school_id, student_id
),
new_payments as (
  insert into payments (id, school_id, invoice_id, kind, amount, method, reference, paid_at)
  select
    planned.id, new_invoices.school_id, new_invoices.id, planned.kind, planned.amount, planned.method,
    planned.reference, planned.paid_at
  from new_invoices
  join new_students on new_students.id = new_invoices.student_id
  join (
    values
      (
        uuid '01980000-0000-7000-8000-000000000301', 'SPR-001', 'PAYMENT', 600.00, 'bank_transfer', 'DEMO-PAID-1',
        timestamptz '2026-01-10 13:00Z'
      ),
      (
        uuid '01980000-0000-7000-8000-000000000302', 'SPR-002', 'PAYMENT', 300.00, 'cash', 'DEMO-PARTIAL-1',
        timestamptz '2026-01-15 13:00Z'
      ),
      (
        uuid '01980000-0000-7000-8000-000000000303', 'SPR-001', 'PAYMENT', 400.00, 'card', 'DEMO-PAID-2',
        timestamptz '2026-01-20 13:00Z'
      ),
      (
        uuid '01980000-0000-7000-8000-000000000304', 'SPR-002', 'REFUND', 50.00, 'cash', 'DEMO-REFUND-1',
        timestamptz '2026-01-25 13:00Z'
      )
  ) as planned (id, external_id, kind, amount, method, reference, paid_at)
    using (external_id)
  order by planned.paid_at
  returning id
),
new_adjustments as (
  -- A discount for the wrong child, and its reversal.
  insert into adjustments (id, school_id, invoice_id, reverses_id, kind, amount, reason, adjusted_at)
  select
    planned.id, new_invoices.school_id, new_invoices.id, reverses_id, 'DISCOUNT', 80.00, reason, adjusted_at
  from new_invoices
  join new_students on new_students.id = new_invoices.student_id and external_id = 'SPR-002'
  cross join (
    values
      (
        uuid '01980000-0000-7000-8000-000000000701', null::uuid, 'Sibling discount', timestamptz '2026-01-06 13:00Z'
      ),
      (
        uuid '01980000-0000-7000-8000-000000000702', uuid '01980000-0000-7000-8000-000000000701',
        'Meant for Lisa', timestamptz '2026-01-07 13:00Z'
      )
  ) as planned (id, reverses_id, reason, adjusted_at)
  order by adjusted_at
)
select
  (select count(*) from new_students)::int as students,
  (select count(*) from new_invoices)::int as invoices,
  (select count(*) from new_payments)::int as payments
