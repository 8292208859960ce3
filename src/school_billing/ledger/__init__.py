"""Verification of the books: the totals of invoices against their payments, and the chains of the audit trail."""
