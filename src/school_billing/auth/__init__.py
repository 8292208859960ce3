"""Access: who the caller is, and what that caller may do."""
