-- A payment stays a payment and a refund a refund.
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
