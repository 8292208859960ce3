"""API keys: for programs that call the API."""
