"""The request (or command) at work.

A query takes values from here by parameters that begin with `request_`: `:request_actor`, `:request_id`. No repository
passes them on.
"""

from contextvars import ContextVar

import msgspec


class RequestContext(msgspec.Struct):
    """What is known of the request; it fills up on the way to the handler."""

    actor: str | None = None
    """The user's name. If None, the audit trail names the database's role."""
    actor_school: str | None = None
    """The user's only school; None for users of all schools."""
    request_id: str | None = None
    trace_id: str | None = None
    """The id of the trace, if the request is traced."""
    idempotency_scope: str | None = None
    """The user and the user's school, the method and the path: the same key elsewhere is another key."""
    idempotency_key: str | None = None
    fingerprint: bytes | None = None
    """SHA-256 of the body that came with the key."""
    caller: object = None
    """The guard's finding (auth.contracts.Caller), which handlers receive as `caller`."""


current_context: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)
_NOBODY = RequestContext()


def context() -> RequestContext:
    """Return the context of the request at work; all None outside of one."""
    return current_context.get() or _NOBODY
