"""Printed statements: pages, PDF documents and CSV."""
