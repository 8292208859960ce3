"""On whose behalf queries run: what a statement that writes tells the audit trail, and its idempotency key.

A query that has one of these names among its parameters gets it from here; no repository passes it on.
"""

from contextvars import ContextVar

import msgspec


class RequestContext(msgspec.Struct):
    """What is known of the request (or command) at work; it fills up on the way in."""

    actor: str | None = None
    """The user's name; None for nobody in particular, and then the audit trail names the database's role."""
    actor_school: str | None = None
    """The school that the user is bound to; None for those who may see all."""
    request_id: str | None = None
    trace_id: str | None = None
    """The trace that the request is part of, where requests are traced."""
    idempotency_scope: str | None = None
    """The user and the user's school, the method and the path: the same key elsewhere is another key."""
    idempotency_key: str | None = None
    fingerprint: bytes | None = None
    """SHA-256 of the body that came with the key."""


current_context: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)
_NOBODY = RequestContext()
NAMES = frozenset(RequestContext.__struct_fields__)


def context() -> RequestContext:
    """Return what is known of the request at work; all None outside of one."""
    return current_context.get() or _NOBODY
