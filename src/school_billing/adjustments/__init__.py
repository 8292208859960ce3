"""Adjustments: what is owed less on an invoice, without money."""
