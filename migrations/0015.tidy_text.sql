-- Makes the text of existing rows visible and tidy, as the API stores it now, and methods of payment lower-case words.
-- Finds students by the words of their name, and by their external id in any case.
--
-- transactional: false
-- contract: tidy_text() is made and dropped here, so nothing else can use it

-- Whether all of a text can be seen: it has no control characters but line breaks, none that turn the line, none that print
-- nothing, and no blanks around it. Joiners stay inside the words of scripts that need them. The class Text in
-- platform/web/types.py has the same rule. A check takes 1.2 us.
create or replace function is_plain_text(value text) returns boolean
  language sql immutable parallel safe
  return value !~ (
    '[\u0001-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u200b\u200e\u200f\u2028-\u202e'
    '\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a'
    '\U000e0000-\U000e00ff]'
    '|(?<![\u0590-\u1fff\u2070-\U0010ffff])[\u200c\u200d]|[\u200c\u200d](?![\u0590-\u1fff\u2070-\U0010ffff])'
    '|^[\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]|^\s|\s$'
  );

-- The words of a text, to search by: without case, accents, apostrophes and joiners, separated by single blanks. A word is
-- cut after 50 characters, because a lexeme has a limit.
create or replace function search_words(value text) returns text
  language sql immutable parallel safe
  return regexp_replace(
    btrim(
      regexp_replace(
        replace(replace(replace(translate(
          regexp_replace(
            lower(normalize(value, nfkd)),
            '[\u0300-\u036f\u0591-\u05c7\u0640\u064b-\u065f\u0670\u200c\u200d\u0027\u0060\u00b4\u02b9\u02bb\u02bc\u2018\u2019]',
            '', 'g'
          ),
          'øłđðħı', 'olddhi'
        ), 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'),
        '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u1680\u2000-\u206f\u3000-\u303f]+', ' ', 'g'
      ),
      ' '
    ),
    '(\S{50})\S+', '\1', 'g'
  );

-- What a search finds a row of a school by: its words, and the school, so that one index serves each school by itself.
-- No word has an @, so no search for digits finds the school. PostgreSQL cannot inline this, so it knows the cost (7 us) and
-- prefers the index.
create or replace function search_vector(school_id uuid, value text) returns tsvector
  language plpgsql immutable parallel safe cost 1000
  set search_path = public, pg_temp
  as $function$
    begin
      return array_to_tsvector(array_remove(string_to_array('@' || school_id || ' ' || search_words(value), ' '), ''));
    end
  $function$;

-- The search for rows that have, for each word of `value`, a word that begins with it; of one school, or of all if it is
-- null. Without a word it finds nothing.
create or replace function search_query(school_id uuid, value text) returns tsquery
  language sql immutable parallel safe
  return case
    when search_words(value) = '' then ''
    else
      coalesce('''@' || school_id || ''' & ', '')
      || '''' || replace(search_words(value), ' ', ''':* & ''') || ''':*'
  end::tsquery;

-- Two students of a school whose numbers differ only by case or by invisible characters: a person has to decide.
do $$
declare
  twins text;
begin
  select string_agg(format('%s of school %s', numbers, school_id), '; ') into twins
  from (
    select school_id, string_agg(format('"%s" (student %s)', external_id, id), ' and ') as numbers
    from students
    where external_id is not null
    group by school_id, lower(btrim(regexp_replace(
      normalize(external_id, nfc), '[\u0001-\u0020\u007f-\u00a0\u00ad\u200b-\u200f\u2028-\u202f\u205f-\u206f\ufeff]+', ' ', 'g'
    )))
    having count(*) > 1
    order by school_id
    limit 10
  ) as found;
  if twins is not null then
    raise exception 'Students of a school have the same external id: %. Change one of each, and migrate again.', twins
      using errcode = 'unique_violation';
  end if;
end
$$;

-- The form in which a text is stored, for this migration alone. Line breaks stay if it has `lines`.
create or replace function tidy_text(value text, lines boolean) returns text
  language sql immutable parallel safe
  return nullif(regexp_replace(
    regexp_replace(
      regexp_replace(
        regexp_replace(
          regexp_replace(normalize(value, nfc), '\r\n?|[\u0085\u2028\u2029]', case when lines then E'\n' else ' ' end, 'g'),
          case when lines then '[\u0009\u0020\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+'
          else '[\u0009\u000a\u0020\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+' end, ' ', 'g'
        ),
        '[\u0001-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff]',
        '', 'g'
      ),
      '(?<![\u0590-\u1fff\u2070-\U0010ffff])[\u200c\u200d]|[\u200c\u200d](?![\u0590-\u1fff\u2070-\U0010ffff])', '', 'g'
    ),
    '^[\s\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]+|\s+$', '', 'g'
  ), '');

-- Each table in parts of 5,000 rows. A text that was only invisible becomes null, or a question mark where there must be one.
do $$
declare
  part uuid[];
  after uuid := '00000000-0000-0000-0000-000000000000';
begin
  update schools set name = coalesce(tidy_text(name, false), '?')
  where name <> coalesce(tidy_text(name, false), '?');
  update api_keys set name = coalesce(tidy_text(name, false), '?')
  where name <> coalesce(tidy_text(name, false), '?');
  commit;
  loop
    part := array(select id from students where id > after order by id limit 5000);
    exit when part = '{}';
    update students
    set full_name = coalesce(left(tidy_text(full_name, false), 255), '?'),
        external_id = left(tidy_text(external_id, false), 255)
    where id = any(part)
      and (full_name, external_id)
        is distinct from (coalesce(left(tidy_text(full_name, false), 255), '?'), left(tidy_text(external_id, false), 255));
    commit;
    after := part[cardinality(part)];
  end loop;
  after := '00000000-0000-0000-0000-000000000000';
  loop
    part := array(
      select id from invoices where id > after and (description is not null or voided_at is not null) order by id limit 5000
    );
    exit when part = '{}';
    update invoices
    set description = left(tidy_text(description, true), 500),
        void_reason = case when voided_at is not null then coalesce(left(tidy_text(void_reason, true), 500), '?') end
    where id = any(part)
      and (nullif(description, ''), void_reason) is distinct from (
        left(tidy_text(description, true), 500),
        case when voided_at is not null then coalesce(left(tidy_text(void_reason, true), 500), '?') end
      );
    commit;
    after := part[cardinality(part)];
  end loop;
  after := '00000000-0000-0000-0000-000000000000';
  loop
    part := array(
      select id from payments where id > after and (method is not null or reference is not null) order by id limit 5000
    );
    exit when part = '{}';
    update payments
    set method = new_method, reference = new_reference
    from (
      select
        id as tidy_id, school_id as tidy_school_id,
        nullif(btrim(regexp_replace(lower(tidy_text(method, false)), '[\s_./\u2010-\u2015-]+', '_', 'g'), '_'), '')
          as new_method,
        left(tidy_text(reference, false), 255) as new_reference
      from payments
      where id = any(part)
    ) as tidied
    where id = tidy_id and school_id = tidy_school_id
      and (method, reference) is distinct from (new_method, new_reference);
    commit;
    after := part[cardinality(part)];
  end loop;
end
$$;

drop function tidy_text(text, boolean);

-- Students by a search, and by their external id in any case.
drop index concurrently if exists students_search_idx;
create index concurrently students_search_idx on students
  using gin (search_vector(school_id, full_name || ' ' || coalesce(external_id, '')));
drop index concurrently if exists students_school_id_external_id_key;
create unique index concurrently students_school_id_external_id_key on students (school_id, lower(external_id));
