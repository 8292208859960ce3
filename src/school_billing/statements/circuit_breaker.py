"""A circuit breaker for an optional service that the API can do without."""

from time import monotonic

import structlog

log = structlog.get_logger("school_billing.statements.circuit_breaker")


class CircuitBreaker:
    """Stops the use of a failed service for `pause_seconds`. Then one request tries it; the others still do without."""

    def __init__(self, service: str, pause_seconds: float) -> None:
        self._service = service
        self._pause_seconds = pause_seconds
        self._has_failed = False
        self._retry_at = 0.0

    def allows(self) -> bool:
        """Return whether this request may use the service."""
        if self._has_failed:
            if monotonic() < self._retry_at:
                return False
            self._retry_at = monotonic() + self._pause_seconds
        return True

    def fail(self, error: BaseException) -> None:
        """Note that the service failed. Log only the first failure."""
        self._retry_at = monotonic() + self._pause_seconds
        if not self._has_failed:
            self._has_failed = True
            log.warning(f"{self._service} does not answer", cause=type(error.__cause__ or error).__name__)

    def succeed(self) -> None:
        """Note that the service answered. Log this if the service had failed."""
        if self._has_failed:
            self._has_failed = False
            log.info(f"{self._service} answers again")
