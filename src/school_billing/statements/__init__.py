"""Statements: who owes what, and how it came to that."""
