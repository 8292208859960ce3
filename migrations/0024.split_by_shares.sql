-- How an amount is split among payers.
set local lock_timeout = '2s';

-- The parts of an amount by shares in percent, which sum to 100. The parts sum to the amount: each is rounded down, and
-- the units that are left go to the largest remainders, the first of equal ones before the others. A unit is a cent, or
-- one in a currency without cents (`decimals` 0).
create or replace function split_by_shares(amount numeric, shares numeric[], decimals integer default 2) returns numeric[]
  language sql immutable parallel safe
  return (
    select array_agg(part + case when turn <= units_left then power(0.1, decimals) else 0 end::numeric(18, 2) order by place)
    from (
      select
        place, part,
        row_number() over (order by exact - part desc, place) as turn,
        (amount - sum(part) over ()) * power(10::numeric, decimals) as units_left
      from unnest(shares) with ordinality as given (share, place)
      cross join lateral (select amount * share * 0.01 as exact, trunc(amount * share * 0.01, decimals) as part) as rounded
    ) as parts
  );
