drop index if exists invoices_school_id_issued_at_idx;
drop index if exists payments_school_id_paid_at_idx;
