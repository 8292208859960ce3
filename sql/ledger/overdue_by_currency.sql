-- What is overdue in all schools, by currency: a row for each that somebody owes in. A day is a day of the school. It reads every
-- invoice, which is why no request asks, and nobody does so often.
select schools.currency, sum(invoices.balance_due) as overdue
from invoices
join schools on schools.id = invoices.school_id
where invoices.balance_due > 0
  and invoices.issued_at <= now()
  and invoices.due_date < (now() at time zone schools.time_zone)::date
group by schools.currency
order by schools.currency
