"""Schools: the tenants, each with its currency and its time zone."""
