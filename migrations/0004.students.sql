-- Students of a school.
set local lock_timeout = '2s';

create table if not exists students (
  id uuid not null default uuidv7(),
  school_id uuid not null,
  full_name text not null,
  external_id text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  -- With school_id, so that an invoice cannot reference a student of another school, and the table can be distributed.
  constraint students_pkey primary key (id, school_id),
  constraint students_school_id_fkey foreign key (school_id) references schools (id) on delete restrict,
  constraint students_external_id_key unique (school_id, external_id),
  constraint students_full_name_length check (char_length(full_name) between 1 and 255),
  constraint students_external_id_length check (char_length(external_id) between 1 and 255)
);

-- A school's students, ordered by id; also the index of the foreign key.
create index if not exists students_school_id_id_idx on students (school_id, id);

create or replace trigger students_set_updated_at
  before update on students
  for each row execute function set_updated_at();
create or replace trigger students_are_audited
  after insert or update or delete on students
  for each row execute function append_to_audit_log();
create or replace trigger students_never_truncated
  before truncate on students
  for each statement execute function refuse_truncate();
