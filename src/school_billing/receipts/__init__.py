"""Receipts: sums of money that arrived, and what they pay."""
