drop function if exists public.uuidv7();
