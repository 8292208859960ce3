"""The context of the current request or command.

SQL parameters that begin with `request_`, such as `:request_actor` and `:request_id`, get their values from here. No
repository passes them on.
"""

from contextvars import ContextVar

import msgspec


class RequestContext(msgspec.Struct):
    """The facts about a request. The steps before the handler fill them in."""

    actor: str | None = None
    """The user's name. If None, the audit trail names the database's role."""
    actor_school: str | None = None
    """The user's only school; None for users of all schools."""
    request_id: str | None = None
    trace_id: str | None = None
    """The id of the trace, if the request is traced."""
    span: object = None
    """The span of the request (opentelemetry.trace.Span), if it is traced."""
    idempotency_scope: str | None = None
    """The user, the user's school, the method and the path. In another scope, the same key is another key."""
    idempotency_key: str | None = None
    fingerprint: bytes | None = None
    """The SHA-256 of the body that came with the key."""
    caller: object = None
    """The authenticated caller (auth.contracts.Caller), which handlers receive as `caller`."""


current_context: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)
_EMPTY = RequestContext()


def context() -> RequestContext:
    """Return the context of the current request. Outside of a request, all its fields are None."""
    return current_context.get() or _EMPTY
