drop function if exists amount_text(numeric);
drop function if exists instant_text(timestamptz);
drop function if exists set_updated_at();
drop function if exists public.uuidv7();
