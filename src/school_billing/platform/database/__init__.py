"""The database: connections, the SQL files, migrations, the embedded server. Nothing about billing."""
