"""Invoices raised on students."""
