-- Lifts the throttles of log-ins to an account: one row with their number. Those of addresses stay.
with lifted as (
  delete from login_throttles
  where account = sha256(convert_to(:username, 'UTF8'))
  returning bucket
)
select count(*)::int as lifted
from lifted
