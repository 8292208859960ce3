"""Payments and refunds on invoices."""
