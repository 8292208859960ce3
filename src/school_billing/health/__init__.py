"""Health checks and metrics, for load balancers and Prometheus."""
