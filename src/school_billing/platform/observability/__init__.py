"""Instrumentation: logs, metrics and the wrapper around the application that feeds them."""
