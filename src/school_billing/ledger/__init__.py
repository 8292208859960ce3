"""Proof that the books are right: every total against its movements, every audit chain against its entries."""
