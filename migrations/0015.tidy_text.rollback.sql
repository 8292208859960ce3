-- transactional: false
drop index concurrently if exists students_school_id_external_id_key;
drop index concurrently if exists students_search_idx;
drop function if exists search_query(uuid, text);
drop function if exists search_vector(uuid, text);
drop function if exists search_words(text);
drop function if exists is_plain_text(text);
