"""Billing runs: billing a plan for many students at once."""
