"""Everything that is not about schools: database access, HTTP, observability and settings."""
