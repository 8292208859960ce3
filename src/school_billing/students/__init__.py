"""Students of a school."""
