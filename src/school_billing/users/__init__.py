"""Users: people who can log in."""
