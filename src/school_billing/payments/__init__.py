"""Movements of money on invoices: payments and refunds."""
