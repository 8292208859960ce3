-- The first :limit invoices whose lines do not sum to their total; no rows if all do.
select invoices.id, invoices.school_id, total_amount, sum(amount) as lines_sum
from invoice_lines
join invoices on invoices.id = invoice_lines.invoice_id and invoices.school_id = invoice_lines.school_id
group by invoices.school_id, invoices.id, total_amount
having sum(amount) <> total_amount
order by invoices.school_id, invoices.id
limit :limit
