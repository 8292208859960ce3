"""What a scope of ASGI says here besides the standard."""

IS_HEAD = "school_billing.is_head"
"""That GET stands for HEAD, so that nobody makes a long body for it."""
