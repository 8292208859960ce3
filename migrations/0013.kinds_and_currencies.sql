-- A payment stays a payment and a refund a refund, and amounts have the decimals of their currency.
set local lock_timeout = '2s';

create or replace function keep_kind() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
  as $function$
    begin
      raise exception 'payment % stays a %', new.id, old.kind
        using errcode = 'integrity_constraint_violation', constraint = 'payments_kind_is_fixed', table = 'payments';
    end
  $function$;

create or replace trigger payments_keep_their_kind
  before update of kind on payments
  for each row when (new.kind <> old.kind)
  execute function keep_kind();

-- The decimals of a currency (ISO 4217, its minor units). Null is no money: metals, test codes and units of account.
create or replace function currency_decimals(currency text) returns int
  language sql immutable parallel safe
  return case
    when currency in (
      'BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV', 'XAF', 'XOF', 'XPF'
    ) then 0
    when currency in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') then 3
    when currency in ('CLF', 'UYW') then 4
    when currency in (
      'XAG', 'XAU', 'XBA', 'XBB', 'XBC', 'XBD', 'XDR', 'XPD', 'XPT', 'XSU', 'XTS', 'XUA', 'XXX'
    ) then null
    else 2
  end;

-- Amounts have two decimals. The constraint stays "not valid": an older school with such a currency would stop every later
-- migration, and nobody can change the currency of a school that has invoices.
do $migration$
begin
  if not exists (select from pg_constraint where conname = 'schools_currency_fits_the_books') then
    alter table schools add constraint schools_currency_fits_the_books
      check (coalesce(currency_decimals(currency) <= 2, false)) not valid;
  end if;
end
$migration$;

-- Refuses cents in a currency without them. Only an amount with cents costs a look at the school. As a trigger after the
-- change, it runs when the foreign keys have locked their rows, and so reads the currency after a change that it waited for.
create or replace function refuse_cents() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    declare
      school_currency text := (select currency from schools where id = new.school_id);
    begin
      if currency_decimals(school_currency) = 0 then
        raise exception '% has no cents', school_currency
          using errcode = 'integrity_constraint_violation',
                constraint = 'amounts_fit_the_currency',
                table = tg_table_name,
                detail = json_build_object('currency', school_currency);
      end if;
      return null;
    end
  $function$;

create or replace trigger invoices_fit_the_currency
  after insert or update of total_amount on invoices
  for each row when (new.total_amount <> trunc(new.total_amount))
  execute function refuse_cents();
create or replace trigger payments_fit_the_currency
  after insert or update of amount on payments
  for each row when (new.amount <> trunc(new.amount))
  execute function refuse_cents();

-- Refuses another currency if the school has invoices. The locks wait for new students and invoices, whose foreign keys hold
-- the school or the student, and keep later ones waiting.
create or replace function keep_currency() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    begin
      perform 1 from schools where id = old.id for update;
      perform 1 from students where school_id = old.id order by id for update;
      if exists (select 1 from invoices where school_id = old.id) then
        raise exception 'school % has invoices in %', old.id, old.currency
          using errcode = 'integrity_constraint_violation', constraint = 'schools_currency_is_fixed', table = 'schools';
      end if;
      return new;
    end
  $function$;

create or replace trigger schools_keep_their_currency
  before update of currency on schools
  for each row when (new.currency <> old.currency)
  execute function keep_currency();
