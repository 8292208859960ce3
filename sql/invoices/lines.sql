-- The lines of the invoices :invoice_ids in their order: one row for each, and none for an invoice that the tenant has not.
select position, description, category, amount, invoice_id
from invoice_lines
where invoice_id = any(:invoice_ids::uuid[])
  and (:tenant::uuid is null or school_id = :tenant)
order by invoice_id, position
