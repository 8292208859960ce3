"""How fast the service is: `make bench` and `make bench-growth`. Nothing here is a test, and no test is timed."""
