-- Users can be disabled, and their passwords changed, with effect on the very next request.
do $migration$
begin
  if not exists (select from pg_attribute where attrelid = 'users'::regclass and attname = 'disabled_at') then
    alter table users add column disabled_at timestamptz;
    alter table users add column password_changed_at timestamptz not null default now();
    -- Sessions carry the number that this had when they began: one more here ends all of them at once.
    alter table users add column session_generation bigint not null default 1;
  end if;
end
$migration$;

-- A school's users, page by page in the order of their ids; also the foreign key's index.
create index if not exists users_school_id_id_idx on users (school_id, id);
drop index if exists users_school_id_idx;

-- The school of a user is fixed: its trail has all that the user ever did there, and another school's has none of it.
create or replace function keep_school() returns trigger
  language plpgsql
  as $function$
    begin
      raise exception '% stay in their school', tg_table_name
        using errcode = 'integrity_constraint_violation', constraint = 'school_id_is_fixed', table = tg_table_name;
    end
  $function$;

do $migration$
begin
  if not exists (select from pg_trigger where tgname = 'users_keep_their_school' and tgrelid = 'users'::regclass) then
    create trigger users_keep_their_school
      before update of school_id on users
      for each row when (old.school_id is distinct from new.school_id)
      execute function keep_school();
  end if;
end
$migration$;
