"""The body of /health."""

from msgspec import Struct


class Health(Struct, frozen=True):
    """The answer of a part that works."""

    status: str
    """Always "ok". A part that does not work answers 503."""
