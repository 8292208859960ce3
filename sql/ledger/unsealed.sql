-- The schools with audit entries that are not sealed.
select distinct school_id::text
from audit_log
where hash is null
