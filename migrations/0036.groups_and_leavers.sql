-- The class or grade of a student, and the day on which a student left. A billing run chooses by them.
set local lock_timeout = '2s';

alter table students
  add column if not exists group_name text
    constraint students_group_name_length check (char_length(group_name) between 1 and 100)
    constraint students_group_name_plain check (is_plain_text(group_name) and position(E'\n' in group_name) = 0),
  -- Null while the student is enrolled. From this day on, a billing run does not bill the student.
  add column if not exists left_on date
    constraint students_left_on_in_calendar check (left_on between '1900-01-01' and '2999-12-31');
