"""Payers: the persons and organisations that pay for students."""
