"""Invoices: what students are billed."""
