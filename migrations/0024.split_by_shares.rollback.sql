drop function if exists split_by_shares(numeric, numeric[], integer);
