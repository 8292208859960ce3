"""Authentication and roles: who the caller is, and which routes the caller may use."""
