"""Closings: periods that nobody changes any more."""
