"""Fee plans: what a term costs."""
