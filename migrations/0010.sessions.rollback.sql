drop function if exists append_login_to_audit_log(text, uuid, uuid, text, text, jsonb);
-- The entries about logging in stay, and so does the rule that lets them be: it is tried on those that are still to be sealed.
drop table if exists login_throttles;
drop table if exists refresh_tokens;
drop table if exists sessions;
