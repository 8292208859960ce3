"""Statements for people to read: pages, PDF documents and rows for a spreadsheet."""
