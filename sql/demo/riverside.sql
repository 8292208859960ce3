-- Adds the demo school Riverside Academy, with what it needs to bill the school year 2025/26: 320 students in three stages,
-- families, a fee plan for each stage, and five scholarships. One row with the number of students, zero if the school
-- already exists. The choices come from md5 hashes, so every run makes the same school, with the same ids of its students:
-- RIV-001 is 01980000-0000-7000-8002-000000000001.
--
-- The last eight students have payers. RIV-313 to RIV-315 and RIV-319 with RIV-320 are siblings with one payer, two payers
-- share RIV-316, and an employer pays half for RIV-317 and RIV-318.
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
drawn_students as (
  select
    number,
    format(
      '%s %s',
      names.first_names[1 + ('x' || left(md5('first name ' || number), 7))::bit(28)::int % 40],
      names.last_names[1 + ('x' || left(md5('last name ' || number), 7))::bit(28)::int % 40]
    ) as full_name,
    (array['Infantil', 'Primaria', 'Secundaria'])[
      1 + ('x' || left(md5('grade RIV-' || lpad(number::text, 3, '0')), 7))::bit(28)::int % 3
    ] as stage
  from names
  cross join generate_series(1, 312) as number
  union all
  values
    (313, 'Lucía García Molina', 'Infantil'), (314, 'Mateo García Molina', 'Primaria'),
    (315, 'Sofía García Molina', 'Secundaria'), (316, 'Felix Müller Ruiz', 'Primaria'), (317, 'Emeka Okafor', 'Primaria'),
    (318, 'Hana Sato', 'Infantil'), (319, 'Omar Haddad', 'Secundaria'), (320, 'Nadia Haddad', 'Infantil')
),
new_students as (
  insert into students (id, school_id, full_name, external_id, group_name)
  select
    ('01980000-0000-7000-8002-' || lpad(number::text, 12, '0'))::uuid, school.id, full_name,
    'RIV-' || lpad(number::text, 3, '0'), stage
  from school
  cross join drawn_students
  returning id, school_id, external_id
),
new_payers as (
  insert into payers (id, school_id, kind, name, email, external_id, language)
  select
    ('01980000-0000-7000-8002-' || lpad(number::text, 12, '0'))::uuid, school.id, kind, name, email, 'P-' || number, language
  from school
  cross join (
    values
      (1001, 'PERSON', 'María Molina Ortega', 'maria.molina@example.org', 'es'),
      (1002, 'PERSON', 'Thomas Müller', 'thomas.mueller@example.org', 'de'),
      (1003, 'PERSON', 'Elena Ruiz Martín', 'elena.ruiz@example.org', 'es'),
      (1004, 'ORGANISATION', 'Ribera Logística S.A.', 'facturas@ribera.example', 'es'),
      (1005, 'PERSON', 'Amina Okafor', 'amina.okafor@example.org', 'en'),
      (1006, 'PERSON', 'Kenji Sato', 'kenji.sato@example.org', 'en'),
      (1007, 'PERSON', 'Layla Haddad', 'layla.haddad@example.org', 'fr')
  ) as planned (number, kind, name, email, language)
  returning id, external_id
),
new_shares as (
  insert into student_payers (school_id, student_id, payer_id, share)
  select new_students.school_id, new_students.id, new_payers.id, share
  from (
    values
      ('RIV-313', 'P-1001', 100), ('RIV-314', 'P-1001', 100), ('RIV-315', 'P-1001', 100),
      ('RIV-316', 'P-1002', 50), ('RIV-316', 'P-1003', 50),
      ('RIV-317', 'P-1004', 50), ('RIV-317', 'P-1005', 50),
      ('RIV-318', 'P-1004', 50), ('RIV-318', 'P-1006', 50),
      ('RIV-319', 'P-1007', 100), ('RIV-320', 'P-1007', 100)
  ) as planned (student, payer, share)
  join new_students on new_students.external_id = student
  join new_payers on new_payers.external_id = payer
),
new_plans as (
  insert into fee_plans (id, school_id, name)
  select ('01980000-0000-7000-8004-' || lpad(number::text, 12, '0'))::uuid, school.id, stage
  from school
  cross join (values (1, 'Infantil'), (2, 'Primaria'), (3, 'Secundaria')) as planned (number, stage)
  returning id, school_id, name
),
new_items as (
  -- What a year costs, 10 % less tuition from the second child on, and a fee on what is a month late.
  insert into fee_plan_items (
    school_id, fee_plan_id, version, position, kind, category, description, categories, percent, amount, from_rank,
    after_days, maximum_times
  )
  select
    school_id, new_plans.id, 1, place, kind, category, description, categories, percent, coalesce(amount, tuition),
    from_rank, after_days, maximum_times
  from new_plans
  join (values ('Infantil', 3200.00), ('Primaria', 3600.00), ('Secundaria', 4055.00)) as prices (stage, tuition)
    on stage = new_plans.name
  cross join (
    values
      (1, 'item', 'tuition', 'Tuition', null::text[], null::numeric, null::numeric, null::int, null::int, null::int),
      (2, 'item', 'meals', 'Meals', null, null, 600.00, null, null, null),
      (3, 'late_fee', null, 'Late fee', null, null, 12.00, null, 30, 1)
  ) as planned (place, kind, category, description, categories, percent, amount, from_rank, after_days, maximum_times)
  union all
  select school_id, id, 1, 4, 'sibling', null, 'Sibling discount', array['tuition'], 10, null, 2, null, null
  from new_plans
),
new_awards as (
  insert into awards (school_id, student_id, description, categories, percent, valid_from, valid_to, reason, approved_by)
  select
    school_id, new_students.id, 'Scholarship', array['tuition'], percent, '2025-09-01', '2026-08-31', reason,
    'Scholarship committee'
  from (
    values
      ('RIV-010', 50, 'First in the regional contest of mathematics'), ('RIV-055', 25, 'Plays in the youth orchestra'),
      ('RIV-101', 30, 'Income of the family'), ('RIV-160', 50, 'Income of the family'), ('RIV-240', 10, 'Child of a teacher')
  ) as planned (student, percent, reason)
  join new_students on new_students.external_id = student
)
select count(*)::int as students
from new_students
