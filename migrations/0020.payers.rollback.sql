drop table if exists student_payers;
drop function if exists refuse_change_of_movement();
drop function if exists refuse_partial_shares();
drop table if exists payers;

create or replace function is_plain_text(value text) returns boolean
  language sql immutable parallel safe
  return value !~ (
    '[\u0001-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u200b\u200e\u200f\u2028-\u202e'
    '\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a'
    '\U000e0000-\U000e00ff]'
    '|(?<![\u0590-\u1fff\u2070-\U0010ffff])[\u200c\u200d]|[\u200c\u200d](?![\u0590-\u1fff\u2070-\U0010ffff])'
    '|^[\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]|^\s|\s$'
  );
