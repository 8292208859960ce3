-- Adds the demo school Springfield Elementary with the two students of the README, their payer, a receipt that pays nothing
-- yet, and a fee plan with the preview of a billing run: one row with the numbers of rows that were added, zeros if the school already exists. All have the same ids
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
new_plan as (
  insert into fee_plans (id, school_id, name)
  select '01980000-0000-7000-8004-000000000001', school.id, 'Elementary school'
  from school
  returning id, school_id
),
new_items as (
  insert into fee_plan_items (
    school_id, fee_plan_id, version, position, kind, description, category, categories, percent, amount, from_rank,
    after_days, maximum_times
  )
  select
    school_id, new_plan.id, 1, position, kind, description, category, categories::text[], percent, amount, from_rank,
    after_days, maximum_times
  from new_plan
  cross join (
    values
      (1, 'item', 'Tuition', 'tuition', null, null, 400.00, null, null, null),
      (2, 'item', 'Meals', 'meals', null, null, 90.00, null, null, null),
      (3, 'sibling', 'Sibling discount', null, '{tuition}', 10.0000, null, 2, null, null),
      (4, 'late_fee', 'Late fee', null, null, null, 10.00, null, 14, 3)
  ) as planned (
    position, kind, description, category, categories, percent, amount, from_rank, after_days, maximum_times
  )
),
new_award as (
  insert into awards (
    id, school_id, student_id, description, categories, percent, valid_from, valid_to, reason, approved_by
  )
  select
    '01980000-0000-7000-8005-000000000001', school_id, id, 'Music scholarship', '{tuition}', 25.0000, '2026-08-01', '2027-07-31',
    'Second in the regional music contest', 'Bursary committee, 2026-05-12'
  from new_students
  where external_id = 'SPR-002'
  returning id, school_id, student_id
),
new_run as (
  -- Bart is the second of two siblings.
  insert into billing_runs (
    id, school_id, fee_plan_id, plan_version, period, student_ids, due_dates, issued_at, issued_on, counts, totals,
    total_amount, invoices_count
  )
  select
    '01980000-0000-7000-8006-000000000001', new_plan.school_id, new_plan.id, 1, '2026 autumn term',
    array[new_award.student_id], array[date '2026-10-15', date '2026-11-15'], timestamptz '2026-09-01 05:00Z', '2026-09-01',
    '{"will_create": 1}',
    '[{"category": "award", "amount": "-100.00"}, {"category": "discount", "amount": "-40.00"},
      {"category": "meals", "amount": "90.00"}, {"category": "tuition", "amount": "400.00"}]',
    350.00, 2
  from new_plan
  cross join new_award
  returning id, school_id
),
new_rows as (
  insert into billing_run_rows (
    id, school_id, billing_run_id, student_id, verdict, sibling_rank, items_total, discounts_total, total_amount, lines, invoices
  )
  select
    '01980000-0000-7000-8007-000000000001', new_run.school_id, new_run.id, student_id, 'will_create', 2, 490.00, -140.00, 350.00,
    jsonb_build_array(
      jsonb_build_object('description', 'Tuition', 'category', 'tuition', 'amount', '400.00'),
      jsonb_build_object('description', 'Meals', 'category', 'meals', 'amount', '90.00'),
      jsonb_build_object(
        'description', 'Sibling discount', 'category', 'discount', 'amount', '-40.00', 'base', '400.00',
        'percent', '10.0000', 'sibling_rank', 2
      ),
      jsonb_build_object(
        'description', 'Music scholarship', 'category', 'award', 'amount', '-100.00', 'base', '400.00',
        'percent', '25.0000', 'award_id', new_award.id
      )
    ),
    (
      select
        jsonb_agg(
          jsonb_build_object(
            'payer_id', new_payer.id, 'share', '100.0000', 'instalment', instalment, 'due_date', due_date, 'amount', '175.00'
          )
          order by instalment
        )
      from new_payer
      cross join (values (1, date '2026-10-15'), (2, date '2026-11-15')) as planned (instalment, due_date)
    )
  from new_run
  cross join new_award
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
