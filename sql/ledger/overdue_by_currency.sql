-- The overdue sum of all schools: one row for each currency. It reads every invoice, so no request runs it.
select schools.currency, sum(invoices.balance_due) as overdue
from invoices
join schools on schools.id = invoices.school_id
where invoices.balance_due > 0
  and invoices.issued_at <= now()
  and invoices.due_date < (now() at time zone schools.time_zone)::date
group by schools.currency
order by schools.currency
