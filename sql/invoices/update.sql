-- The changed invoice: one row, or none if the tenant has no such invoice, :if_match does not list its version, it is
-- void, or its student would change although it has payments or adjustments. Null leaves a column as it is;
-- description_given tells a null description from an absent one. Two updates of one version queue here, and the second finds that its version is
-- gone. With lines_given, the lines are :line_descriptions and so on in place of those that were there.
with author as materialized (select written_by(:request_actor, :request_id) as noted),
updated as (
  update invoices
  set student_id = coalesce(:student_id, student_id),
      total_amount = coalesce(:total_amount::numeric(12, 2), total_amount),
      issued_at = coalesce(:issued_at, start_of_day(:issued_on, time_zone), issued_at),
      due_date = coalesce(:due_date, due_date),
      description = case when :description_given then :description else description end
  from schools
  where (select noted from author)
    and invoices.id = :invoice_id
    and schools.id = invoices.school_id
    and (:tenant::uuid is null or invoices.school_id = :tenant)
    and (:tenant::uuid is null or schools.id = :tenant)
    and (:if_match::timestamptz[] is null or invoices.updated_at = any(:if_match))
    and voided_at is null
    and (
      :student_id::uuid is null or student_id = :student_id
      or payments_total + credited_total + discounted_total + written_off_total + reversals_total = 0
    )
  returning
    invoices.id, school_id, student_id, payer_id, number, total_amount, status, issued_at, due_date, description,
    voided_at, void_reason, early_discount, early_until, credited_total, discounted_total, written_off_total,
    payments_total, refunds_total, paid_total, balance_due, late_invoice_id, invoices.created_at, invoices.updated_at
),
lines_before as (
  delete from invoice_lines
  using updated
  where :lines_given
    and invoice_id = updated.id
    and invoice_lines.school_id = updated.school_id
    and (:tenant::uuid is null or invoice_lines.school_id = :tenant)
  returning invoice_lines.id
),
new_lines as (
  insert into invoice_lines (school_id, invoice_id, position, description, category, amount)
  select updated.school_id, updated.id, lines.position, lines.description, lines.category, lines.amount
  from updated
  cross join unnest(:line_descriptions::text[], :line_categories::text[], :line_amounts::numeric[]) with ordinality
    as lines (description, category, amount, position)
  -- The lines of before are gone first, because a position is taken once.
  where (select count(*) from lines_before) >= 0
  returning position, description, category, amount
)
select
  id, school_id, student_id, payer_id, number, total_amount, status, issued_at, due_date, description, voided_at,
  void_reason, early_discount, early_until, credited_total, discounted_total, written_off_total, payments_total,
  refunds_total, paid_total, balance_due, late_invoice_id, created_at, updated_at,
  case
    when :lines_given
      then (select coalesce(jsonb_agg(to_jsonb(new_lines) order by position), '[]') from new_lines)
    else lines_of_locked_invoice(id, school_id)
  end as lines
from updated
