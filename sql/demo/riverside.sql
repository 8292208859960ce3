-- Adds the demo school Riverside Academy, with 312 students and the monthly invoices of the school year 2025/26: one
-- row with the numbers of rows that were added, zeros if the school already exists. The choices come from md5 hashes,
-- so every run makes the same school, with the same ids of its students: RIV-001 is 01980000-0000-7000-8002-000000000001.
with school as (
  insert into schools (id, name, currency, time_zone, address, payment_instructions, iban)
  values (
    '01980000-0000-7000-8000-000000000002', 'Riverside Academy', 'EUR', 'Europe/Madrid',
    E'Calle de la Ribera 8\n28001 Madrid', 'Por transferencia, siempre con la referencia del pago.', 'ES9121000418450200051332'
  )
  on conflict on constraint schools_pkey do nothing
  returning id
),
names as (
  select
    array[
      'Ada', 'Aisha', 'Alejandro', 'Amina', 'Anya', 'Beatriz', 'Carlos', 'Chloé', 'Daniel', 'Diego', 'Elif',
      'Elena', 'Emeka', 'Emma', 'Fatima', 'Felix', 'Gabriel', 'Hana', 'Hugo', 'Ines', 'Isabel', 'Ivan', 'Jamal',
      'João', 'Julia', 'Kenji', 'Layla', 'Leo', 'Lucía', 'Malik', 'Mateo', 'Mei', 'Miguel', 'Nadia', 'Noah',
      'Olivia', 'Omar', 'Priya', 'Sofía', 'Zoë'
    ] as first_names,
    array[
      'Abdi', 'Álvarez', 'Andersson', 'Bianchi', 'Castillo', 'Chen', 'Costa', 'Delgado', 'Dubois', 'Eriksen',
      'Fernández', 'García', 'Haddad', 'Hernández', 'Ibrahim', 'Ivanova', 'Jansen', 'Jiménez', 'Kaya', 'Kowalski',
      'López', 'Martínez', 'Mensah', 'Molina', 'Moreau', 'Müller', 'Navarro', 'Nguyen', 'Okafor', 'Ortega',
      'O''Brien', 'Papadopoulos', 'Patel', 'Ramírez', 'Rossi', 'Ruiz', 'Sato', 'Silva', 'Torres', 'Yılmaz'
    ] as last_names
),
new_students as (
  insert into students (id, school_id, full_name, external_id)
  select
    ('01980000-0000-7000-8002-' || lpad(number::text, 12, '0'))::uuid,
    school.id,
    format(
      '%s %s',
      names.first_names[1 + ('x' || left(md5('first name ' || number), 7))::bit(28)::int % 40],
      names.last_names[1 + ('x' || left(md5('last name ' || number), 7))::bit(28)::int % 40]
    ),
    'RIV-' || lpad(number::text, 3, '0')
  from school
  cross join names
  cross join generate_series(1, 312) as number
  returning id, school_id, external_id
),
drawn_invoices as materialized (
  -- The outcome is a number from 0 to 99; drawn_payments says what it means.
  select
    uuidv7() as id,
    new_students.school_id,
    new_students.id as student_id,
    new_students.external_id || to_char(month, '-YYYY-MM') as reference,
    (array[380.00, 420.00, 465.50])[
      1 + ('x' || left(md5('grade ' || new_students.external_id), 7))::bit(28)::int % 3
    ]::numeric(12, 2) as total_amount,
    month at time zone 'Europe/Madrid' + interval '9 hours' as issued_at,
    (month + interval '14 days')::date as due_date,
    to_char(month, '"Tuition" FMMonth YYYY') as description,
    ('x' || left(md5('fate ' || new_students.external_id || month), 7))::bit(28)::int % 100 as outcome,
    ('x' || left(md5('days ' || new_students.external_id || month), 7))::bit(28)::int % 12 as days,
    (array['bank_transfer', 'bank_transfer', 'card', 'cash', 'direct_debit'])[
      1 + ('x' || left(md5('method ' || new_students.external_id), 7))::bit(28)::int % 5
    ] as method,
    new_students.external_id = 'RIV-017' and month = timestamp '2025-12-01' as is_void
  from new_students
  cross join generate_series(timestamp '2025-09-01', timestamp '2026-06-01', interval '1 month') as month
),
drawn_payments as (
  select
    id, kind, of_total * total_amount + plus as amount, method, reference || suffix as reference,
    issued_at + (days * pace + delay) * interval '1 day' as paid_at
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
new_invoices as (
  insert into invoices (
    id, school_id, student_id, total_amount, issued_at, due_date, description, voided_at, void_reason
  )
  select
    id, school_id, student_id, total_amount, issued_at, due_date, description,
    case when is_void then issued_at + interval '3 days' end, case when is_void then 'Entered twice' end
  from drawn_invoices
  returning id, school_id
),
new_payments as (
  insert into payments (school_id, invoice_id, kind, amount, method, reference, paid_at)
  select
    new_invoices.school_id, new_invoices.id, drawn_payments.kind, drawn_payments.amount, drawn_payments.method,
    drawn_payments.reference, drawn_payments.paid_at
  from drawn_payments
  join new_invoices using (id)
  order by drawn_payments.paid_at
  returning id
),
new_adjustments as (
  -- Of the first three invoices that nobody paid, a part is credited, a part is a discount, and all is written off.
  insert into adjustments (school_id, invoice_id, kind, amount, reason, adjusted_at)
  select
    new_invoices.school_id, new_invoices.id, (array['CREDIT_NOTE', 'DISCOUNT', 'WRITE_OFF'])[place],
    (array[120.00, 50.00, total_amount])[place],
    (array['No canteen for two weeks', 'Goodwill after a complaint', 'The family moved away'])[place],
    issued_at + interval '40 days'
  from (
    select id, issued_at, total_amount, row_number() over (order by issued_at, student_id) as place
    from drawn_invoices
    where outcome >= 97 and not is_void
  ) as unpaid
  join new_invoices using (id)
  where place <= 3
)
select
  (select count(*) from new_students)::int as students,
  (select count(*) from new_invoices)::int as invoices,
  (select count(*) from new_payments)::int as payments
