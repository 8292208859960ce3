-- How a payer pays, and by what reference: the school's IBAN, and for each payer a creditor reference (ISO 11649).
set local lock_timeout = '2s';

-- Tells whether ISO 7064 mod 97-10 accepts an IBAN or a creditor reference: the first four characters go to the end, and
-- a letter counts as two digits, A as 10 and Z as 35.
create or replace function passes_mod_97(code text) returns boolean
  language sql immutable strict parallel safe
  return (
    select mod(string_agg(case when ascii(sign) >= 65 then (ascii(sign) - 55)::text else sign end, '' order by place)::numeric, 97) = 1
    from string_to_table(substr(code, 5) || left(code, 4), null) with ordinality as signs (sign, place)
  );

-- A creditor reference (ISO 11649): RF, two check digits, and the number in twelve digits. R and F count as 27 and 15,
-- and 00 stands for the check digits.
create or replace function creditor_reference(number bigint) returns text
  language sql immutable parallel safe
  return 'RF' || lpad((98 - mod(number * 1000000 + 271500, 97))::text, 2, '0') || lpad(number::text, 12, '0');

-- The reference by which a payer pays, made from the random end of the payer's id.
--
-- It follows from the id, so nothing has to be counted, stored or filled in. A counter of each school would save some
-- digits, but payers that are added at once would wait for one another. It has only digits, because people type it from
-- paper: of digits, the check finds each one that is mistyped and any two neighbours that are swapped, but of letters it
-- does not (1B and B1 both count as 111). Of a million million pairs of payers in a school, one has one reference; the
-- index of 0029 refuses the second payer, and a new try gets another id.
create or replace function payment_reference(payer_id uuid) returns text
  language sql immutable parallel safe
  return creditor_reference(mod(('x' || right(payer_id::text, 12))::bit(48)::bigint, 1000000000000));

-- Null if the statements have no account to pay to.
alter table schools
  add column if not exists iban text
    constraint schools_iban_is_valid check (
      case
        when iban !~ '^[A-Z]{2}(0[2-9]|[1-8][0-9]|9[0-8])[A-Z0-9]{11,30}$' then false
        else passes_mod_97(iban)
      end
    );
