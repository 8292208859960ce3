"""School Billing API: schools, students, invoices, payments and the statements of who owes what."""

TITLE = "School Billing API"
DESCRIPTION = """
The money side of schools: schools, their students, the invoices raised on students, and the payments and
refunds recorded on invoices; and the statements that say who owes what and why.

Amounts are exact decimals with two places, sent as strings (`"600.00"`), in the currency of the school. Instants
are in UTC; days are days of the school's time zone. Lists are plain arrays, newest last, with the next page in the
headers `Link` and `X-Next-Cursor`. Every error is a problem document (RFC 9457) with a `code` to rely on.
"""
