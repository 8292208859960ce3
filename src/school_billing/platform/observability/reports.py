"""Reports of errors that nobody had foreseen, to Sentry: where in the code and with which request, and no more.

Imported only where SENTRY_DSN is set.
"""

from typing import TYPE_CHECKING, Any

import sentry_sdk
from sentry_sdk.utils import event_from_exception, exc_info_from_error, walk_exception_chain

from school_billing.platform.observability.errors import facts_of

if TYPE_CHECKING:
    from sentry_sdk.types import Event

_CLOSE_SECONDS = 2


class Reports:
    """Sends errors in the background; while Sentry is away they are dropped, and no request waits."""

    def __init__(self, dsn: str, release: str, environment: str) -> None:
        # A client of our own and no integrations: those collect requests, headers and arguments by themselves. Nothing
        # personal is sent by default either; the option that once said so, send_default_pii, is deprecated.
        self._client: Any = sentry_sdk.Client(
            dsn=dsn,
            release=release,
            environment=environment,
            default_integrations=False,
            auto_enabling_integrations=False,
            include_local_variables=False,
            max_request_body_size="never",
            max_breadcrumbs=0,
            auto_session_tracking=False,
            send_client_reports=False,
            shutdown_timeout=_CLOSE_SECONDS,
        )

    def report(self, error: BaseException, *, method: str, route: str, request_id: str) -> None:
        """Send `error`, without its message: that can quote anything. The log has it, under the same request id."""
        event: Event
        event, _ = event_from_exception(error, client_options=self._client.options)
        # The SDK lists the cause first; walking the chain goes the other way.
        for entry in event["exception"]["values"]:
            entry["value"] = ""
        chain = list(walk_exception_chain(exc_info_from_error(error)))
        for entry, (_, link, _) in zip(reversed(event["exception"]["values"]), chain, strict=False):
            if link is not None and entry.get("type") == type(link).__name__:
                entry["value"] = facts_of(link) or ""
        event["transaction"] = f"{method} {route}"
        event["tags"] = {"request_id": request_id}
        # A scope that is new, so that nothing of another request is on it.
        self._client.capture_event(event, scope=sentry_sdk.Scope())

    def close(self) -> None:
        """Send what is left, for a moment at the most."""
        self._client.close(timeout=_CLOSE_SECONDS)
