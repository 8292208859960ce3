-- Adds the demo school Riverside Academy: 320 students and the monthly invoices of the school year 2025/26, some
-- paid in two parts, some late, in part, refunded or not at all, and one void. Counts what was added; one row, of
-- zeros where the school is there already.
--
-- Every choice is drawn from an md5 of what it is about, so each run on each machine makes the same school.
with school as (
  insert into schools (id, name, currency, time_zone)
  values ('01980000-0000-7000-8000-000000000002', 'Riverside Academy', 'EUR', 'Europe/Madrid')
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
  insert into students (school_id, full_name, external_id)
  select
    school.id,
    format(
      '%s %s',
      names.first_names[1 + ('x' || left(md5('first name ' || number), 7))::bit(28)::int % 40],
      names.last_names[1 + ('x' || left(md5('last name ' || number), 7))::bit(28)::int % 40]
    ),
    'RIV-' || lpad(number::text, 3, '0')
  from school
  cross join names
  cross join generate_series(1, 320) as number
  returning id, school_id, external_id
),
drawn_invoices as materialized (
  -- The fate of an invoice is a number from 0 to 99; see movements for what it means.
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
    ('x' || left(md5('fate ' || new_students.external_id || month), 7))::bit(28)::int % 100 as fate,
    ('x' || left(md5('days ' || new_students.external_id || month), 7))::bit(28)::int % 12 as days,
    (array['bank_transfer', 'bank_transfer', 'card', 'cash', 'direct_debit'])[
      1 + ('x' || left(md5('method ' || new_students.external_id), 7))::bit(28)::int % 5
    ] as method,
    new_students.external_id = 'RIV-017' and month = timestamp '2025-12-01' as is_void
  from new_students
  cross join generate_series(timestamp '2025-09-01', timestamp '2026-06-01', interval '1 month') as month
),
movements as (
  -- 0 to 59: paid in time.
  select id, 'PAYMENT' as kind, total_amount as amount, method, reference, issued_at + days * interval '1 day' as paid_at
  from drawn_invoices
  where fate < 60 and not is_void
  union all
  -- 60 to 67: paid in two parts.
  select id, 'PAYMENT', 200.00, method, reference || '-1', issued_at + days * interval '1 day'
  from drawn_invoices
  where fate between 60 and 67 and not is_void
  union all
  select id, 'PAYMENT', total_amount - 200.00, method, reference || '-2', issued_at + (days + 10) * interval '1 day'
  from drawn_invoices
  where fate between 60 and 67 and not is_void
  union all
  -- 68 to 83: paid late.
  select id, 'PAYMENT', total_amount, method, reference, issued_at + (days * 4 + 20) * interval '1 day'
  from drawn_invoices
  where fate between 68 and 83 and not is_void
  union all
  -- 84 to 90: paid in part; 97 to 99, like every void one: not at all.
  select id, 'PAYMENT', 150.00, method, reference, issued_at + days * interval '1 day'
  from drawn_invoices
  where fate between 84 and 90 and not is_void
  union all
  -- 91 to 96: paid, and part of it refunded, say for a sibling.
  select id, 'PAYMENT', total_amount, method, reference, issued_at + days * interval '1 day'
  from drawn_invoices
  where fate between 91 and 96 and not is_void
  union all
  select id, 'REFUND', 45.00, method, reference || '-R', issued_at + (days + 7) * interval '1 day'
  from drawn_invoices
  where fate between 91 and 96 and not is_void
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
    new_invoices.school_id, new_invoices.id, movements.kind, movements.amount, movements.method,
    movements.reference, movements.paid_at
  from movements
  join new_invoices using (id)
  order by movements.paid_at
  returning id
)
select
  (select count(*) from new_students)::int as students,
  (select count(*) from new_invoices)::int as invoices,
  (select count(*) from new_payments)::int as payments
