"""Users: those who may log in."""
