drop function if exists open_runs_of(uuid, timestamptz);
