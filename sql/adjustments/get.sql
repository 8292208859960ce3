-- One adjustment with its lines: one row, or none if the tenant has no such adjustment.
select
  adjustments.id, school_id, invoice_id, reverses_id, kind, number, amount, currency, reason, adjusted_at,
  adjustments.created_at, adjustments.updated_at, lines_of_adjustment(adjustments.id, school_id) as lines
from adjustments
join schools on schools.id = adjustments.school_id and (:tenant::uuid is null or schools.id = :tenant)
where adjustments.id = :adjustment_id
  and (:tenant::uuid is null or adjustments.school_id = :tenant)
