-- No rows. Has PostgreSQL count what was billed: without statistics it reads all invoices of the school for each payment.
analyze invoices
