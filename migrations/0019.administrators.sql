-- One enabled administrator of all schools always stays, whoever writes: nobody else can make another one.
set local lock_timeout = '2s';

create or replace function keep_an_administrator() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    begin
      -- Two administrators who disable each other queue here, and the second sees what the first did.
      perform pg_advisory_xact_lock(7404031550207116802);
      if not exists (
        select from users
        where role = 'admin' and school_id is null and disabled_at is null and id <> old.id
      ) then
        raise exception 'user % is the last administrator', old.id
          using errcode = 'integrity_constraint_violation',
                constraint = 'users_one_administrator_stays',
                table = 'users';
      end if;
      return coalesce(new, old);
    end
  $function$;

create or replace trigger users_one_administrator_stays
  before update of role, disabled_at on users
  for each row
  when (
    old.role = 'admin' and old.school_id is null and old.disabled_at is null
    and (new.role <> 'admin' or new.disabled_at is not null)
  )
  execute function keep_an_administrator();
create or replace trigger users_one_administrator_is_not_deleted
  before delete on users
  for each row when (old.role = 'admin' and old.school_id is null and old.disabled_at is null)
  execute function keep_an_administrator();
