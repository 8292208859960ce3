-- Those who pay for students, and the share that each of them pays of what a student is billed.
set local lock_timeout = '2s';

-- As before, in another language: PostgreSQL writes the body of an SQL function into every check of a table for each
-- statement that changes a row of it, and that took a fifth of the time of a payment. It names no table, and
-- to set a search_path would take as long.
create or replace function is_plain_text(value text) returns boolean
  language plpgsql immutable strict parallel safe
  as $function$
    begin
      return value !~ (
        '[\u0001-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u200b\u200e\u200f\u2028-\u202e'
        '\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a'
        '\U000e0000-\U000e00ff]'
        '|(?<![\u0590-\u1fff\u2070-\U0010ffff])[\u200c\u200d]|[\u200c\u200d](?![\u0590-\u1fff\u2070-\U0010ffff])'
        '|^[\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]|^\s|\s$'
      );
    end
  $function$;

create table if not exists payers (
  id uuid not null default uuidv7(),
  school_id uuid not null,
  kind text not null default 'PERSON',
  name text not null,
  email text,
  phone text,
  external_id text,
  language text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint payers_pkey primary key (id, school_id),
  constraint payers_school_id_fkey foreign key (school_id) references schools (id) on delete restrict,
  constraint payers_kind_known check (kind in ('PERSON', 'ORGANISATION')),
  constraint payers_name_length check (char_length(name) between 1 and 255),
  constraint payers_name_plain check (is_plain_text(name) and position(E'\n' in name) = 0),
  constraint payers_email_length check (char_length(email) between 3 and 254),
  constraint payers_email_shape check (is_plain_text(email) and email ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
  constraint payers_phone_length check (char_length(phone) between 1 and 50),
  constraint payers_phone_plain check (is_plain_text(phone) and position(E'\n' in phone) = 0),
  constraint payers_external_id_length check (char_length(external_id) between 1 and 255),
  constraint payers_external_id_plain check (is_plain_text(external_id) and position(E'\n' in external_id) = 0),
  constraint payers_language_shape check (language ~ '^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$')
);

-- A school's payers, ordered by id; also the index of the foreign key.
create index if not exists payers_school_id_id_idx on payers (school_id, id);
-- A payer by the school's own number, in any case.
create unique index if not exists payers_school_id_external_id_key on payers (school_id, lower(external_id));
-- Payers by their email address, in any case.
create index if not exists payers_school_id_email_idx on payers (school_id, lower(email));
-- Payers by the words of their name, email address and external id.
create index if not exists payers_search_idx on payers
  using gin (search_vector(school_id, name || ' ' || coalesce(email, '') || ' ' || coalesce(external_id, '')));

create or replace trigger payers_keep_their_school
  before update of school_id on payers
  for each row when (new.school_id <> old.school_id)
  execute function keep_school();
create or replace trigger payers_set_updated_at
  before update on payers
  for each row execute function set_updated_at();
create or replace trigger payers_are_audited
  after insert or update or delete on payers
  for each row execute function append_to_audit_log();
create or replace trigger payers_never_truncated
  before truncate on payers
  for each statement execute function refuse_truncate();

create table if not exists student_payers (
  id uuid not null default uuidv7(),
  school_id uuid not null,
  student_id uuid not null,
  payer_id uuid not null,
  share numeric(7, 4) not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint student_payers_pkey primary key (id, school_id),
  constraint student_payers_payer_id_key unique (student_id, school_id, payer_id),
  constraint student_payers_student_id_fkey foreign key (student_id, school_id)
    references students (id, school_id) on delete restrict,
  constraint student_payers_payer_id_fkey foreign key (payer_id, school_id)
    references payers (id, school_id) on delete restrict,
  constraint student_payers_share_in_range check (share > 0 and share <= 100)
);

-- A payer's students; also the index of the foreign key. The unique key is the index of the other one.
create index if not exists student_payers_payer_id_school_id_idx on student_payers (payer_id, school_id);

-- Refuses a commit after which the shares of a student would not sum to exactly 100. A student without payers pays for
-- himself. Two transactions that change the shares of one student wait for each other here, so each sees the other's.
create or replace function refuse_partial_shares() returns trigger
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    declare
      changed_student uuid := coalesce(new.student_id, old.student_id);
      changed_school uuid := coalesce(new.school_id, old.school_id);
      shares numeric;
    begin
      perform 1 from students where id = changed_student and school_id = changed_school for no key update;
      select sum(share) into shares
      from student_payers
      where student_id = changed_student and school_id = changed_school;
      if shares <> 100 then
        raise exception 'the shares of student % sum to %', changed_student, shares
          using errcode = 'integrity_constraint_violation',
                constraint = 'student_payers_sum_to_100',
                table = 'student_payers';
      end if;
      return null;
    end
  $function$;

-- Refuses a change of what stays. The trigger's argument names the constraint.
create or replace function refuse_change_of_movement() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
  as $function$
    begin
      raise exception '% of % stays as it is', tg_table_name, old.id
        using errcode = 'integrity_constraint_violation', constraint = tg_argv[0], table = tg_table_name;
    end
  $function$;

drop trigger if exists student_payers_sum_to_100 on student_payers;
create constraint trigger student_payers_sum_to_100
  after insert or update or delete on student_payers
  deferrable initially deferred
  for each row execute function refuse_partial_shares();
-- To move a share to another student would leave the first one unchecked.
create or replace trigger student_payers_stay
  before update of student_id, payer_id, school_id on student_payers
  for each row when (new.student_id <> old.student_id or new.payer_id <> old.payer_id or new.school_id <> old.school_id)
  execute function refuse_change_of_movement('student_payers_are_fixed');
create or replace trigger student_payers_set_updated_at
  before update on student_payers
  for each row execute function set_updated_at();
create or replace trigger student_payers_are_audited
  after insert or update or delete on student_payers
  for each row execute function append_to_audit_log();
create or replace trigger student_payers_never_truncated
  before truncate on student_payers
  for each statement execute function refuse_truncate();
