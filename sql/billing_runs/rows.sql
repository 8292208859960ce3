-- A page of the rows of a run, ordered by id: by the names that the students had at the preview.
select
  billing_run_rows.id, student_id, full_name, external_id, group_name, verdict, reason, sibling_rank, items_total,
  discounts_total, total_amount, lines, invoices
from billing_run_rows
join students on students.id = student_id and students.school_id = billing_run_rows.school_id
where (:tenant::uuid is null or billing_run_rows.school_id = :tenant)
  and (:tenant::uuid is null or students.school_id = :tenant)
  and billing_run_id = :billing_run_id
  and billing_run_rows.school_id = :school_id
  and (:verdict::text is null or verdict = :verdict)
  and case when :newest_first then billing_run_rows.id < :after else billing_run_rows.id > :after end
  and (:offset::bigint is not null or plan_for_these_values())
order by
  case when not :newest_first then billing_run_rows.id end, case when :newest_first then billing_run_rows.id end desc
limit :limit offset :offset
