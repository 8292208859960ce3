-- Indexes by time for a school's collections, which ask for one month of the many years that a school keeps.

-- All that is summed lies in the index: movements are seldom changed, so their pages are soon visible to all and the
-- table itself is not read.
create index if not exists payments_school_id_paid_at_idx on payments (school_id, paid_at) include (kind, amount, method);
-- None of its columns changes when a payment moves the totals of an invoice, so that update stays a cheap one (HOT).
create index if not exists invoices_school_id_issued_at_idx on invoices (school_id, issued_at);
