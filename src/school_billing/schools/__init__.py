"""Schools: the tenants, each with its own currency and time zone."""
