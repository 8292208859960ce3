"""What comes out of /health."""

from msgspec import Struct


class Health(Struct, frozen=True):
    """The answer of something that is well."""

    status: str
    """Always "ok": what is not well answers 503."""
