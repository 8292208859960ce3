-- The receipt as which a school has booked an external reference of a source: its id, or no row. No source is one, too.
select id::text
from receipts
where school_id = :school_id
  and external_reference = :external_reference
  and source is not distinct from :source::text
  and (:tenant::uuid is null or school_id = :tenant)
