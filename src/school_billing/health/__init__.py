"""Whether the service is well, for load balancers and Prometheus."""
