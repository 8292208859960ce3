-- Adds the families of the demo school Riverside Academy: one row with the numbers of rows that were added, zeros if they
-- exist already. RIV-313 to RIV-315 and RIV-319 with RIV-320 are siblings with one payer, two
-- payers share RIV-316, and an employer pays half for RIV-317 and RIV-318. Each payer pays by receipts over months and
-- children. Some leave credit, one was a cheque that bounced, and of two transfers nobody knows the payer.
with new_students as (
  insert into students (id, school_id, full_name, external_id)
  select
    ('01980000-0000-7000-8002-' || lpad(number::text, 12, '0'))::uuid, '01980000-0000-7000-8000-000000000002', full_name,
    'RIV-' || number
  from (
    values
      (313, 'Lucía García Molina'), (314, 'Mateo García Molina'), (315, 'Sofía García Molina'), (316, 'Felix Müller Ruiz'),
      (317, 'Emeka Okafor'), (318, 'Hana Sato'), (319, 'Omar Haddad'), (320, 'Nadia Haddad')
  ) as planned (number, full_name)
  on conflict on constraint students_pkey do nothing
  returning id, school_id, external_id
),
school as (
  select distinct school_id as id
  from new_students
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
  returning id, school_id, external_id, name
),
planned_shares as (
  select new_students.school_id, new_students.id as student_id, new_payers.id as payer_id, share, fee
  from (
    values
      ('RIV-313', 'P-1001', 100, 380.00), ('RIV-314', 'P-1001', 100, 420.00), ('RIV-315', 'P-1001', 100, 465.50),
      ('RIV-316', 'P-1002', 50, 420.00), ('RIV-316', 'P-1003', 50, 420.00),
      ('RIV-317', 'P-1004', 50, 420.00), ('RIV-317', 'P-1005', 50, 420.00),
      ('RIV-318', 'P-1004', 50, 380.00), ('RIV-318', 'P-1006', 50, 380.00),
      ('RIV-319', 'P-1007', 100, 465.50), ('RIV-320', 'P-1007', 100, 380.00)
  ) as planned (student, payer, share, fee)
  join new_students on new_students.external_id = student
  join new_payers on new_payers.external_id = payer
),
owed as (
  -- What each payer owes every month for each student.
  select school_id, student_id, payers.payer_id, amount
  from (
    select
      school_id, student_id, array_agg(payer_id order by payer_id) as payer_ids,
      split_by_shares(fee, array_agg(share::numeric order by payer_id)) as amounts
    from planned_shares
    group by school_id, student_id, fee
  ) as fees
  cross join unnest(payer_ids, amounts) as payers (payer_id, amount)
),
shares as (
  insert into student_payers (school_id, student_id, payer_id, share)
  select school_id, student_id, payer_id, share
  from planned_shares
),
new_invoices as (
  insert into invoices (school_id, student_id, payer_id, total_amount, issued_at, due_date, description)
  select
    school_id, student_id, payer_id, amount, month at time zone 'Europe/Madrid' + interval '9 hours',
    (month + interval '14 days')::date, to_char(month, '"Tuition" FMMonth YYYY')
  from owed
  cross join generate_series(timestamp '2025-09-01', timestamp '2026-06-01', interval '1 month') as month
  order by month, student_id, payer_id
  returning id, school_id, student_id, payer_id, total_amount, issued_at, due_date
),
drawn_receipts as materialized (
  -- A receipt pays the payer's invoices of `months` months from `first_month` on, oldest due first, so far as it reaches.
  select
    ('01980000-0000-7000-8003-' || lpad((first_number + turn)::text, 12, '0'))::uuid as id,
    school.id as school_id, new_payers.id as payer_id, new_payers.name as payer_name, amount, method, reference,
    first_month + turn * months * interval '1 month' as from_month,
    first_month + (turn + 1) * months * interval '1 month' as to_month,
    (first_month + ((turn + 1) * months - 1) * interval '1 month') at time zone 'Europe/Madrid' + days * interval '1 day'
      as received_at,
    bounced_after, first_number + turn as number
  from (
    values
      (1001, 'P-1001', 1, 1, 1300.00, 'bank_transfer', 'Molina', timestamp '2025-09-01', 4.4, null::interval),
      (1002, 'P-1001', 9, 1, 1265.50, 'bank_transfer', 'Molina', timestamp '2025-10-01', 4.4, null),
      (1011, 'P-1002', 10, 1, 210.00, 'direct_debit', 'Felix', timestamp '2025-09-01', 9.5, null),
      (1021, 'P-1003', 4, 1, 210.00, 'card', null, timestamp '2025-09-01', 12.7, null),
      (1025, 'P-1003', 1, 1, 100.00, 'cash', null, timestamp '2026-01-01', 19.5, null),
      (1026, 'P-1004', 3, 3, 1200.00, 'bank_transfer', 'Okafor, Sato', timestamp '2025-09-01', 11.4, null),
      (1029, 'P-1005', 10, 1, 210.00, 'bank_transfer', 'Emeka', timestamp '2025-09-01', 6.4, null),
      (1039, 'P-1006', 8, 1, 190.00, 'card', null, timestamp '2025-09-01', 13.8, null),
      (1047, 'P-1007', 4, 1, 845.50, 'cheque', null, timestamp '2025-09-01', 7.4, null),
      (1051, 'P-1007', 1, 1, 845.50, 'cheque', null, timestamp '2026-01-01', 7.4, interval '7 days'),
      (1052, 'P-1007', 1, 1, 845.50, 'cash', null, timestamp '2026-01-01', 20.5, null),
      (1053, 'P-1007', 1, 2, 2000.00, 'bank_transfer', 'Haddad', timestamp '2026-02-01', 5.4, null),
      (1054, null, 1, 1, 380.00, 'bank_transfer', 'Colegio mayo', timestamp '2026-05-01', 3.4, null),
      (1055, null, 1, 1, 465.50, 'bank_transfer', 'Transferencia', timestamp '2026-06-01', 9.4, null)
  ) as planned (first_number, payer, turns, months, amount, method, reference, first_month, days, bounced_after)
  cross join school
  cross join generate_series(0, turns - 1) as turn
  left join new_payers on new_payers.external_id = payer
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
    drawn_receipts.id as receipt_id, drawn_receipts.school_id, new_invoices.id as invoice_id, total_amount, method,
    reference, received_at, bounced_after,
    amount - coalesce(sum(total_amount) over (
      partition by drawn_receipts.id
      order by due_date, issued_at, new_invoices.id rows between unbounded preceding and 1 preceding
    ), 0) as left_for_it
  from drawn_receipts
  join new_invoices on new_invoices.payer_id = drawn_receipts.payer_id and new_invoices.school_id = drawn_receipts.school_id
    and issued_at at time zone 'Europe/Madrid' >= from_month and issued_at at time zone 'Europe/Madrid' < to_month
),
allocations as materialized (
  select
    uuidv7() as id, school_id, invoice_id, receipt_id, least(total_amount, left_for_it) as amount, method, reference,
    received_at, bounced_after
  from in_turn
  where left_for_it > 0
),
new_payments as (
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
  (select count(*) from new_students)::int as students,
  (select count(*) from new_invoices)::int as invoices,
  (select count(*) from new_payments)::int as payments
