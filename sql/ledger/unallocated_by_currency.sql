-- The money of all schools that pays nothing yet, of known payers and of nobody: one row for each currency. A partial
-- index finds it.
select
  schools.currency,
  coalesce(sum(receipts.unallocated) filter (where receipts.payer_id is not null), 0.00) as unallocated,
  coalesce(sum(receipts.unallocated) filter (where receipts.payer_id is null), 0.00) as unidentified
from receipts
join schools on schools.id = receipts.school_id
where receipts.unallocated > 0
group by schools.currency
order by schools.currency
