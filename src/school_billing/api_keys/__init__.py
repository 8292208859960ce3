"""API keys: for machines that call the API."""
