-- Without the column whoever is disabled could log in again; no password has this hash.
do $migration$
begin
  if exists (select from pg_attribute where attrelid = 'users'::regclass and attname = 'disabled_at') then
    update users set password_hash = '$argon2id$disabled' where disabled_at is not null;
  end if;
end
$migration$;

drop trigger if exists users_keep_their_school on users;
drop function if exists keep_school();
create index if not exists users_school_id_idx on users (school_id);
drop index if exists users_school_id_id_idx;
alter table users drop column if exists session_generation;
alter table users drop column if exists password_changed_at;
alter table users drop column if exists disabled_at;
