"""Everything that is not about schools: the database, the web, what is watched, and the settings."""
