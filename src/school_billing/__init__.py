"""School Billing API: schools, students, invoices, payments and the statements of who owes what."""
