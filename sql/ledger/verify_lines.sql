-- The first :limit invoices and adjustments whose lines do not sum to their total; no rows if all do.
select 'invoice' as what, invoices.id as id, invoices.school_id as school_id, total_amount, sum(amount) as lines_sum
from invoice_lines
join invoices on invoices.id = invoice_lines.invoice_id and invoices.school_id = invoice_lines.school_id
group by invoices.school_id, invoices.id, total_amount
having sum(amount) <> total_amount
union all
select 'adjustment', adjustments.id, adjustments.school_id, adjustments.amount, sum(adjustment_lines.amount)
from adjustment_lines
join adjustments on adjustments.id = adjustment_lines.adjustment_id and adjustments.school_id = adjustment_lines.school_id
group by adjustments.school_id, adjustments.id, adjustments.amount
having sum(adjustment_lines.amount) <> adjustments.amount
order by school_id, id
limit :limit
