-- The first :limit payments and refunds that are dated after now, one row each. The API refuses such a date; the clock of
-- the server was ahead, or somebody wrote them by hand. A statement of now counts them, one of a period does not.
select id, school_id, paid_at
from payments
where paid_at > now()
order by paid_at, id
limit :limit
