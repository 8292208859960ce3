"""The command line, the server and its workers, and the PostgreSQL that comes with it."""
