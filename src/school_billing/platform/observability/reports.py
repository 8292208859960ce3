"""Reports of unexpected errors to Sentry: their place in the code and their request, and no data.

Only a service with a SENTRY_DSN imports this.
"""

import sentry_sdk
from sentry_sdk.utils import event_from_exception, exc_info_from_error, walk_exception_chain

from school_billing.platform.observability.logging import AccessLine, facts_of


class Reports:
    """Sends errors in the background. If Sentry is away, they are dropped; no request waits."""

    def __init__(self, dsn: str, release: str, environment: str) -> None:
        # No integrations: they collect requests, headers and arguments.
        self._client = sentry_sdk.Client(
            dsn=dsn,
            release=release,
            environment=environment,
            default_integrations=False,
            include_local_variables=False,
            send_client_reports=False,
        )
        self.close = self._client.close  # It waits for at most 2 seconds.

    def report(self, error: BaseException, line: AccessLine) -> None:
        """Send `error` without its message, which can quote anything. The log has it under the same request id."""
        event, _ = event_from_exception(error, client_options=self._client.options)
        # The event lists the cause first, the chain lists it last.
        chain = list(walk_exception_chain(exc_info_from_error(error)))
        for entry in event["exception"]["values"]:
            entry["value"] = ""
        for entry, (_, link, _) in zip(reversed(event["exception"]["values"]), chain, strict=False):
            if link is not None and entry.get("type") == type(link).__name__:
                entry["value"] = facts_of(link) or ""
        event["transaction"] = f"{line.method} {line.route}"
        event["tags"] = {"request_id": line.request_id or ""}
        # A new scope has nothing of another request.
        self._client.capture_event(event, scope=sentry_sdk.Scope())
