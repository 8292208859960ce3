-- The first :limit series of numbers that are not 1 to n without a gap, whose counter is not n, or that have a number of
-- another form; no rows if all are right. No number is there twice: unique indexes refuse it.
with numbered as (
  select school_id, 'INVOICE' as series, number
  from invoices
  where number is not null
  union all
  select school_id, 'RECEIPT', number
  from receipts
  where number is not null
  union all
  select school_id, 'CREDIT_NOTE', number
  from adjustments
  where number is not null
),
parts as (
  select
    numbered.school_id, series, number, invoice_prefix,
    coalesce(substring(number from '-([0-9]{4})-[0-9]+$')::int, 0) as year,
    coalesce(substring(number from '-([0-9]{1,18})$')::bigint, 0) as place
  from numbered
  join schools on schools.id = numbered.school_id
),
found as (
  select
    school_id, series, year, count(*) as documents, min(place) as first_number, max(place) as last_number,
    count(*) filter (where number is distinct from document_number(invoice_prefix, series, year, place)) as misshapen
  from parts
  group by school_id, series, year
)
select
  coalesce(found.school_id, document_counters.school_id) as school_id,
  coalesce(found.series, document_counters.series) as series,
  coalesce(found.year, document_counters.year) as year,
  coalesce(documents, 0) as documents, coalesce(first_number, 0) as first_number,
  coalesce(found.last_number, 0) as last_number, coalesce(misshapen, 0) as misshapen,
  coalesce(document_counters.last_number, 0) as counter
from found
full join document_counters on document_counters.school_id = found.school_id
  and document_counters.series = found.series
  and document_counters.year = found.year
where (documents, first_number, found.last_number, misshapen)
  is distinct from (document_counters.last_number, 1::bigint, document_counters.last_number, 0::bigint)
order by 1, 2, 3
limit :limit
