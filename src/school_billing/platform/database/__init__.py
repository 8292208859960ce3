"""The database: connections, the SQL files and migrations. Nothing about billing."""
