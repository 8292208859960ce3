-- The numbers of rows to verify, and a hash of the last hashes of all chains: one row. Keep that hash elsewhere: it
-- shows later whether a chain was cut or rewritten.
with heads as (
  select distinct on (school_id) school_id, hash
  from audit_log
  where position is not null
  order by school_id, position desc
)
select
  (select count(*) from invoices) as invoices,
  (select count(*) from payments) as payments,
  (select count(*) from adjustments) as adjustments,
  (select count(*) from receipts) as receipts,
  (select count(*) from audit_log where hash is not null) as sealed_entries,
  (select count(*) from audit_log where hash is null) as unsealed_entries,
  (select encode(sha256(coalesce(string_agg(hash, '' order by school_id), '')), 'hex') from heads) as head
