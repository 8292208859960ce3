-- The new invoice with its lines: one row, or none if the tenant has no such student. It belongs to the student's
-- school. Without :payer_id the student's payer owes it, if there is one only. A foreign key refuses a payer of another
-- school. An idempotency key is claimed before anything else happens.
with claim as materialized (select coalesce(claim_idempotency_key(:request_idempotency_scope, :request_idempotency_key), true) as granted),
author as materialized (select written_by(:request_actor, :request_id) as noted),
new_invoice as (
  insert into invoices (school_id, student_id, payer_id, total_amount, issued_at, due_date, description)
  select
    students.school_id, students.id,
    coalesce(
      :payer_id,
      (
        select student_payers.payer_id
        from student_payers
        where student_payers.student_id = students.id
          and student_payers.school_id = students.school_id
          and (:tenant::uuid is null or student_payers.school_id = :tenant)
          and share = 100
      )
    ),
    :total_amount::numeric(12, 2),
    coalesce(:issued_at, start_of_day(:issued_on, time_zone), now()), :due_date::date, :description
  from students
  join schools on schools.id = students.school_id
  where (select granted from claim)
    and (select noted from author)
    and students.id = :student_id
    and (:tenant::uuid is null or students.school_id = :tenant)
    and (:tenant::uuid is null or schools.id = :tenant)
  returning
    id, school_id, student_id, payer_id, number, total_amount, status, issued_at, due_date, description, voided_at,
    void_reason, early_discount, early_until, credited_total, discounted_total, written_off_total, payments_total,
    refunds_total, paid_total, balance_due, late_invoice_id, created_at, updated_at
),
new_lines as (
  insert into invoice_lines (school_id, invoice_id, position, description, category, amount, created_at)
  select
    new_invoice.school_id, new_invoice.id, lines.position, lines.description, lines.category, lines.amount, created_at
  from new_invoice
  cross join unnest(:line_descriptions::text[], :line_categories::text[], :line_amounts::numeric[]) with ordinality
    as lines (description, category, amount, position)
  returning position, description, category, amount
),
answer as (
  select
    id, school_id, student_id, payer_id, number, total_amount, status, issued_at, due_date, description, voided_at,
    void_reason, early_discount, early_until, credited_total, discounted_total, written_off_total, payments_total,
    refunds_total, paid_total, balance_due, late_invoice_id, created_at, updated_at,
    (select coalesce(jsonb_agg(to_jsonb(new_lines) order by position), '[]') from new_lines) as lines
  from new_invoice
)
select
  id, school_id, student_id, payer_id, number, total_amount, status, issued_at, due_date, description, voided_at,
  void_reason, early_discount, early_until, credited_total, discounted_total, written_off_total, payments_total,
  refunds_total, paid_total, balance_due, late_invoice_id, created_at, updated_at,
  lines
from answer
cross join lateral remember_answer(:request_idempotency_scope, :request_idempotency_key, :request_fingerprint, to_jsonb(answer))
